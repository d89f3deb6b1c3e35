// SPDX-License-Identifier: Apache-2.0
#include "shim/dns_relay.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "lib/base/error.hpp"

namespace husk::shim {
namespace {

UniqueFd connect_to_server(bool over_tcp) {
  const int type = over_tcp ? SOCK_STREAM : SOCK_DGRAM;
  UniqueFd socket{check_sys(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")};
  sockaddr_in server{};
  server.sin_family = AF_INET;
  server.sin_port = htons(guestcomm::dns_port);
  ::inet_pton(AF_INET, guestcomm::dns_address, &server.sin_addr);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0 &&
      errno != EINPROGRESS) {
    throw_errno("connect to the DNS server");
  }
  return socket;
}

/// Takes the length off a message of a stream, once all of the message is there.
bool take_length(std::string& received) {
  const std::optional<std::size_t> size = guestcomm::dns_length(received);
  if (!size || received.size() < guestcomm::dns_length_bytes + *size) return false;
  received = received.substr(guestcomm::dns_length_bytes, *size);
  return true;
}

}  // namespace

bool DnsRelay::advance(Question& question) {
  const int socket = question.socket.get();
  if (!question.unsent.empty()) {
    const ssize_t sent =
        ::send(socket, question.unsent.data(), question.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) throw_errno("ask the DNS server");
    if (sent > 0) question.unsent.erase(0, static_cast<std::size_t>(sent));
  }
  std::array<char, guestcomm::max_dns_answer_bytes + 2> buffer;
  const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), 0);
  if (count < 0 && errno == EAGAIN) return false;
  if (count <= 0) throw_errno("read the DNS server's answer");
  question.received.append(buffer.data(), static_cast<std::size_t>(count));
  return !question.over_tcp || take_length(question.received);
}

bool DnsRelay::is_over(Question& question) {
  try {
    return advance(question);
  } catch (const Error&) {
    question.received.clear();
    return true;
  }
}

void DnsRelay::ask(const guestcomm::DnsQuery& query) {
  if (questions_.size() >= max_open) return answer_({query.number, {}});
  UniqueFd socket;
  try {
    socket = connect_to_server(query.over_tcp);
  } catch (const Error&) {
    return answer_({query.number, {}});
  }
  const int key = socket.get();
  questions_.emplace(
      key,
      Question{.socket = std::move(socket),
               .number = query.number,
               .over_tcp = query.over_tcp,
               .unsent = query.over_tcp ? guestcomm::with_dns_length(query.message) : query.message,
               .received = {},
               .deadline = Deadline(patience)});
}

void DnsRelay::add_to(std::vector<pollfd>& polled) const {
  for (const auto& [socket, question] : questions_) {
    const bool sends = !question.unsent.empty();
    polled.push_back({socket, static_cast<short>(sends ? POLLIN | POLLOUT : POLLIN), 0});
  }
}

int DnsRelay::milliseconds_left() const {
  int left = -1;
  for (const auto& [socket, question] : questions_) {
    const int own = question.deadline.poll_timeout();
    left = left < 0 ? own : std::min(left, own);
  }
  return left;
}

void DnsRelay::handle(const std::vector<pollfd>& polled) {
  for (const pollfd& event : polled) {
    const auto found = questions_.find(event.fd);
    if (found == questions_.end() || event.revents == 0) continue;
    if (is_over(found->second)) finish(found, std::move(found->second.received));
  }
  for (auto next = questions_.begin(); next != questions_.end();) {
    const auto question = next++;
    if (question->second.deadline.passed()) finish(question, {});
  }
}

void DnsRelay::finish(Questions::iterator question, std::string message) {
  const std::uint32_t number = question->second.number;
  questions_.erase(question);
  answer_({number, std::move(message)});
}

}  // namespace husk::shim
