// SPDX-License-Identifier: Apache-2.0
#include "agent/stream/dns_relay.hpp"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <optional>

#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

constexpr int dns_backlog = 64;

UniqueFd open_socket(int type, std::uint16_t port) {
  return step(std::string("DNS at ") + guestcomm::dns_address, [&] {
    UniqueFd socket{check_sys(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")};
    const int on = 1;
    if (type == SOCK_STREAM)  // connections of an earlier one may linger
      ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_port = htons(port);
    ::inet_pton(AF_INET, guestcomm::dns_address, &own.sin_addr);
    check_sys(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), "bind");
    if (type == SOCK_STREAM) check_sys(::listen(socket.get(), dns_backlog), "listen");
    return socket;
  });
}

}  // namespace

DnsRelay::DnsRelay(EventLoop& loop, Ask ask, std::uint16_t port)
    : loop_(loop),
      ask_(std::move(ask)),
      datagrams_(open_socket(SOCK_DGRAM, port)),
      listener_(open_socket(SOCK_STREAM, port)) {
  datagrams_watch_ =
      loop_.watch(datagrams_.get(), EPOLLIN, [this](std::uint32_t) { take_datagram(); });
  listener_watch_ = loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { take_client(); });
}

DnsRelay::~DnsRelay() {
  for (const auto& [id, client] : clients_) loop_.cancel(client.idle);
}

bool DnsRelay::ask(const Asker& asker, std::string message) {
  const std::uint32_t number = next_number_++;
  if (!ask_({number, std::holds_alternative<ClientId>(asker), std::move(message)})) return false;
  if (open_.size() >= max_open) open_.erase(open_.begin());
  open_.emplace(number, asker);
  return true;
}

void DnsRelay::take_datagram() {
  std::array<char, guestcomm::max_dns_query_bytes> buffer;
  sockaddr_in from{};
  socklen_t length = sizeof from;
  const ssize_t count = ::recvfrom(datagrams_.get(), buffer.data(), buffer.size(), MSG_TRUNC,
                                   reinterpret_cast<sockaddr*>(&from), &length);
  if (count <= 0 || static_cast<std::size_t>(count) > buffer.size()) return;
  ask(from, std::string(buffer.data(), static_cast<std::size_t>(count)));
}

void DnsRelay::take_client() {
  UniqueFd socket{::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (!socket || clients_.size() >= max_clients) return;
  // A whole answer at once: it is never waited for.
  const int bytes = 2 * static_cast<int>(guestcomm::max_dns_answer_bytes);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  const ClientId id = next_client_++;
  clients_[id].socket = std::move(socket);
  rest(id);
}

/// Waits until the next question.
void DnsRelay::rest(ClientId id) {
  Client& client = clients_.at(id);
  client.waits = false;
  client.idle = loop_.after(idle_patience, [this, id] { clients_.erase(id); });
  client.watch =
      loop_.watch(client.socket.get(), EPOLLIN, [this, id](std::uint32_t) { read_client(id); });
  ask_for(id);  // it may have sent more than one
}

void DnsRelay::read_client(ClientId id) {
  Client& client = clients_.at(id);
  std::array<char, guestcomm::max_dns_query_bytes> buffer;
  const ssize_t count = ::recv(client.socket.get(), buffer.data(), buffer.size(), 0);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) {
    loop_.cancel(client.idle);
    clients_.erase(id);
    return;
  }
  client.received.append(buffer.data(), static_cast<std::size_t>(count));
  ask_for(id);
}

/// Answers one after the other; what the peer sends meanwhile waits in the kernel.
void DnsRelay::ask_for(ClientId id) {
  Client& client = clients_.at(id);
  const std::optional<std::size_t> size = guestcomm::dns_length(client.received);
  if (!size) return;
  const bool too_large = *size > guestcomm::max_dns_query_bytes;
  const std::size_t whole = guestcomm::dns_length_bytes + *size;
  if (!too_large && client.received.size() < whole) return;
  std::string message =
      too_large ? std::string{} : client.received.substr(guestcomm::dns_length_bytes, *size);
  loop_.cancel(client.idle);
  if (too_large || !ask(id, std::move(message))) {
    clients_.erase(id);
    return;
  }
  client.received.erase(0, whole);
  client.waits = true;
  client.watch.reset();
  client.idle = loop_.after(2 * idle_patience, [this, id] { clients_.erase(id); });
}

void DnsRelay::answer(const guestcomm::DnsAnswer& answer) {
  const auto found = open_.find(answer.number);
  if (found == open_.end()) return;
  const Asker asker = found->second;
  open_.erase(found);
  const std::string& message = answer.message;
  if (const auto* from = std::get_if<sockaddr_in>(&asker)) {
    if (message.empty()) return;  // as from a server that does not answer
    ::sendto(datagrams_.get(), message.data(), message.size(), MSG_NOSIGNAL,
             reinterpret_cast<const sockaddr*>(from), sizeof *from);
    return;
  }
  const auto client = clients_.find(std::get<ClientId>(asker));
  if (client == clients_.end() || !client->second.waits) return;
  loop_.cancel(client->second.idle);
  const std::string bytes = guestcomm::with_dns_length(message);
  const ssize_t sent = message.empty() ? -1
                                       : ::send(client->second.socket.get(), bytes.data(),
                                                bytes.size(), MSG_NOSIGNAL);
  if (sent == std::ssize(bytes)) {
    rest(client->first);
  } else {
    clients_.erase(client);
  }
}

}  // namespace husk::agent
