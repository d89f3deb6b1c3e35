// SPDX-License-Identifier: Apache-2.0
#include "agent/request/control_server.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "lib/base/log.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"
#include "lib/guestcomm/protocol/write_limit.hpp"

namespace husk::agent {

using guestcomm::Request;
using nlohmann::json;

ControlServer::~ControlServer() {
  for (const auto& [id, connection] : connections_) loop_.cancel(connection.hello_timer);
}

std::size_t ControlServer::greeted_connections() const {
  return connections_.size() - strangers_.size();
}

bool ControlServer::has_room() const {
  return greeted_connections() < max_connections && strangers_.has_room();
}

void ControlServer::adopt(UniqueFd socket, Caller caller) {
  if (caller == Caller::anybody) make_room();
  if (!has_room()) {
    log(LogLevel::warning, "too many control connections, one is refused");
    return;
  }
  const ConnectionId id = next_id_++;
  Connection& connection = connections_[id];
  strangers_.add(id, caller);
  connection.socket = std::move(socket);
  connection.hello_timer = loop_.after(hello_patience, [this, id] {
    const auto found = connections_.find(id);
    if (found != connections_.end() && !found->second.greeted) close(id);
  });
  watch(id);
}

/// The oldest may have sent its hello by now: of many callers at once each is served.
void ControlServer::make_room() {
  const auto oldest = strangers_.oldest_in_the_way();
  if (!oldest) return;
  handle_ready(*oldest, EPOLLIN);
  if (!strangers_.contains(*oldest)) return;
  log(LogLevel::warning, "too many control connections without hello, the oldest is dropped");
  close(*oldest);
}

void ControlServer::watch(ConnectionId id) {
  Connection& connection = connections_.at(id);
  const std::uint32_t events = EPOLLIN | (connection.unsent.empty() ? 0u : std::uint32_t{EPOLLOUT});
  connection.watch = loop_.watch(connection.socket.get(), events,
                                 [this, id](std::uint32_t ready) { handle_ready(id, ready); });
}

void ControlServer::handle_ready(ConnectionId id, std::uint32_t events) {
  try {
    if ((events & EPOLLOUT) != 0) {
      if (!flush(connections_.at(id))) return close(id);
      watch(id);
    }
    if ((events & ~std::uint32_t{EPOLLOUT}) != 0) receive(id);
  } catch (const std::exception& error) {
    // Not a request that fails but bytes that are no request: nothing after them can be trusted.
    log(LogLevel::warning, std::string("control connection dropped: ") + error.what());
    close(id);
  }
}

void ControlServer::receive(ConnectionId id) {
  static std::array<char, 64u << 10> chunk;
  Connection& connection = connections_.at(id);
  const ssize_t count = ::recv(connection.socket.get(), chunk.data(), chunk.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return close(id);
  connection.reader.append({chunk.data(), static_cast<std::size_t>(count)});
  handle_frames(id);
}

void ControlServer::handle_frames(ConnectionId id) {
  // Looked up each time: answering may have closed the connection.
  for (auto found = connections_.find(id); found != connections_.end();
       found = connections_.find(id)) {
    if (found->second.refused) return;
    const auto payload = found->second.reader.next();
    if (!payload) return;
    handle_request(id, guestcomm::decode_request(*payload));
  }
}

/// The agent's catch: whatever a request does wrong is its answer.
void ControlServer::handle_request(ConnectionId id, const Request& request) {
  const Reply reply = [this, id, request](const Outcome& outcome) {
    respond(id, request, outcome);
  };
  try {
    if (connections_.at(id).greeted) {
      handlers_.request(id, request, reply);
    } else {
      reply(greet(id, request));
    }
  } catch (const Error& error) {
    reply(error);
  } catch (const std::exception& error) {
    reply(Error(Errc::internal, request.method.substr(0, 64) + ": " + error.what()));
  }
  const auto found = connections_.find(id);
  if (found == connections_.end() || found->second.greeted) return;
  found->second.refused = true;  // one try, and none in the frames behind it
  close_soon(id);
}

json ControlServer::greet(ConnectionId id, const Request& request) {
  if (!request.is<guestcomm::Hello>())
    throw Error(Errc::wrong_state, "the first request must be hello");
  const auto hello = request.params.get<guestcomm::Hello>();
  if (!secret_.matches(hello.secret)) {  // first: a stranger learns nothing
    throw Error(Errc::invalid_argument, "hello.secret: does not match this VM's secret");
  }
  const guestcomm::ProtocolRange spoken = guestcomm::agreed_range(protocols_, hello.protocols);
  Connection& connection = connections_.at(id);
  loop_.cancel(connection.hello_timer);
  connection.greeted = true;
  connection.protocol = spoken.newest;
  strangers_.forget(id);
  connection.reader.set_limit(guestcomm::max_frame_bytes);
  was_greeted_ = true;
  if (hello.host_time_us && handlers_.host_time) handlers_.host_time(*hello.host_time_us);
  return guestcomm::Hello{.protocols = spoken, .version = HUSK_VERSION, .secret = {}};
}

int ControlServer::protocol_of(ConnectionId connection) const {
  const auto found = connections_.find(connection);
  return found == connections_.end() ? 0 : found->second.protocol;
}

void ControlServer::respond(ConnectionId id, const Request& request, const Outcome& outcome) {
  if (const auto* error = std::get_if<Error>(&outcome)) {
    log(LogLevel::info, request.method.substr(0, 64) + " failed: " + error->what());
  }
  if (!request.id) return;  // a notification wants no answer
  send(id, guestcomm::encode(guestcomm::Response{*request.id, outcome}));
}

void ControlServer::send(ConnectionId id, const std::string& payload) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;  // it did not wait for its answer
  Connection& connection = found->second;
  connection.unsent += guestcomm::make_frame(payload);
  if (!flush(connection) || connection.unsent.size() > max_unsent_bytes) {
    return close_soon(id);
  }
  watch(id);
}

/// False: the connection is broken.
bool ControlServer::flush(Connection& connection) {
  while (!connection.unsent.empty()) {
    const std::size_t size = std::min(connection.unsent.size(), guestcomm::guest_write_limit);
    const ssize_t count =
        ::send(connection.socket.get(), connection.unsent.data(), size, MSG_NOSIGNAL);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    connection.unsent.erase(0, static_cast<std::size_t>(count));
  }
  return true;
}

/// From the loop: whoever sends may be in the middle of something that closing would disturb.
void ControlServer::close_soon(ConnectionId id) {
  loop_.after(std::chrono::milliseconds{0}, [this, id] { close(id); });
}

void ControlServer::close(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const bool greeted = found->second.greeted;
  loop_.cancel(found->second.hello_timer);
  strangers_.forget(id);
  connections_.erase(found);
  if (greeted) handlers_.closed(id);
}

}  // namespace husk::agent
