// SPDX-License-Identifier: Apache-2.0
#include "agent/stream/pending_streams.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/guestcomm/protocol/connections.hpp"

namespace husk::agent {
namespace {

using guestcomm::stream_header_start;
constexpr std::size_t token_length = 32;
constexpr std::size_t token_start = stream_header_start.size() + Secret::digits + 1;
constexpr std::size_t header_length = token_start + token_length + 1;

}  // namespace

std::optional<StreamHeader> parse_stream_header(const std::string& header) {
  if (header.size() != header_length || !header.starts_with(stream_header_start) ||
      header[token_start - 1] != ' ' || header.back() != '\n') {
    return std::nullopt;
  }
  StreamHeader parsed{header.substr(stream_header_start.size(), Secret::digits),
                      header.substr(token_start, token_length)};
  if (!is_hex(parsed.secret) || !is_hex(parsed.token)) return std::nullopt;
  return parsed;
}

PendingStreams::~PendingStreams() {
  while (!connections_.empty()) drop(connections_.begin()->first);
}

void PendingStreams::drop(Id id) noexcept {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  strangers_.forget(id);
  loop_.cancel(found->second.expiry);
  connections_.erase(found);
}

bool PendingStreams::has_room() const {
  return connections_.size() - strangers_.size() < max_streams && strangers_.has_room();
}

/// The oldest may have sent its header by now: of many callers at once each is served.
void PendingStreams::make_room() {
  const auto oldest = strangers_.oldest_in_the_way();
  if (!oldest) return;
  read_header(*oldest);
  if (!strangers_.contains(*oldest)) return;
  log(LogLevel::warning, "too many stream connections without a header, the oldest is dropped");
  drop(*oldest);
}

void PendingStreams::adopt(UniqueFd connection, Caller caller) {
  if (caller == Caller::anybody) make_room();
  if (!has_room()) {
    log(LogLevel::warning, "too many pending stream connections, one is refused");
    return;
  }
  const int fd = connection.get();
  const Id id = next_id_++;
  const auto expiry = loop_.after(header_patience, [this, id] {
    log(LogLevel::warning, "stream connection dropped: no header received in time");
    drop(id);
  });
  Connection& waiting = connections_[id];
  strangers_.add(id, caller);
  waiting.socket = std::move(connection);
  waiting.expiry = expiry;
  waiting.watch = loop_.watch(
      fd, EPOLLIN, [this, id](std::uint32_t) { read_header(id); }, [this, id] { drop(id); });
}

void PendingStreams::read_header(Id id) {
  Connection& connection = connections_.at(id);
  std::array<char, header_length> chunk{};
  // Never past the header: what follows is the container's stdin.
  const std::size_t missing = header_length - connection.header.size();
  const ssize_t count = ::recv(connection.socket.get(), chunk.data(), missing, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0) {
    connection.header.append(chunk.data(), static_cast<std::size_t>(count));
    if (connection.header.size() < header_length) return;
    if (accept_header(id, connection)) return;
  }
  drop(id);
}

bool PendingStreams::accept_header(Id id, Connection& connection) {
  const std::optional<StreamHeader> header = parse_stream_header(connection.header);
  if (!header || !secret_.matches(header->secret) || contains(header->token)) {
    log(LogLevel::warning, "stream connection dropped: invalid header, secret or token");
    return false;
  }
  if (::send(connection.socket.get(), guestcomm::stream_answer.data(),
             guestcomm::stream_answer.size(),
             MSG_NOSIGNAL) != static_cast<ssize_t>(guestcomm::stream_answer.size())) {
    return false;
  }
  connection.watch.reset();  // data and end of file wait for the container
  connection.header.clear();
  connection.token = header->token;
  strangers_.forget(id);
  loop_.cancel(connection.expiry);
  connection.expiry = loop_.after(lifetime, [this, id] { drop(id); });
  return true;
}

PendingStreams::Connections::const_iterator PendingStreams::find(const std::string& token) const {
  return std::find_if(connections_.begin(), connections_.end(), [&](const auto& entry) {
    return !entry.second.token.empty() && entry.second.token == token;
  });
}

UniqueFd PendingStreams::claim(const std::string& token) {
  const auto found = find(token);
  if (found == connections_.end()) {
    throw Error(Errc::not_found, "no pending stream connection has this token");
  }
  Connection& connection = connections_.at(found->first);
  UniqueFd socket = std::move(connection.socket);
  loop_.cancel(connection.expiry);
  connections_.erase(found);
  return socket;
}

}  // namespace husk::agent
