// SPDX-License-Identifier: Apache-2.0
#include "agent/stream/port_connector.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string>

#include "agent/stream/stream_copy.hpp"
#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

/// Begun, and done once the socket is writable.
UniqueFd begin_connecting(int family, std::uint16_t port) {
  UniqueFd socket{
      check_sys(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")};
  sockaddr_in6 ipv6{};
  sockaddr_in ipv4{};
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(port);
  ipv6.sin6_addr = in6addr_loopback;
  ipv4.sin_family = AF_INET;
  ipv4.sin_port = htons(port);
  ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int failed =
      family == AF_INET
          ? ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&ipv4), sizeof ipv4)
          : ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&ipv6), sizeof ipv6);
  if (failed != 0 && errno != EINPROGRESS) throw_errno("connect");
  return socket;
}

int connect_error(int socket) {
  int error = 0;
  socklen_t length = sizeof error;
  check_sys(::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length), "getsockopt");
  return error;
}

UniqueFd duplicate(const UniqueFd& fd) {
  return UniqueFd{check_sys(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0), "duplicate a descriptor")};
}

}  // namespace

class PortConnector::Connection {
 public:
  /// on_end is called once, from the loop: when connecting failed, or both directions have ended.
  Connection(EventLoop& loop, std::uint16_t port, Streams streams, Reply reply,
             std::function<void()> on_end)
      : loop_(loop),
        port_(port),
        streams_(std::move(streams)),
        reply_(std::move(reply)),
        on_end_(std::move(on_end)) {
    timer_ = loop_.after(patience, [this] { fail(ETIMEDOUT); });
    try_next();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { loop_.cancel(timer_); }

 private:
  /// The families one after the other.
  void try_next() {
    const int family = family_ == AF_UNSPEC ? AF_INET : AF_INET6;
    family_ = family;
    watch_.reset();
    try {
      socket_ = begin_connecting(family, port_);
      watch_ = loop_.watch(socket_.get(), EPOLLOUT, [this](std::uint32_t) { handle_connected(); });
    } catch (const Error& error) {
      give_up_family(error.sys_errno());
    }
  }

  void handle_connected() {
    if (const int error = connect_error(socket_.get()); error != 0) return give_up_family(error);
    loop_.cancel(timer_);
    watch_.reset();
    carry();
    reply_(done());
  }

  /// IPv4's error is the answer: most callers will have meant IPv4.
  void give_up_family(int error) {
    if (family_ != AF_INET) return fail(first_error_);
    first_error_ = error;
    try_next();
  }

  void fail(int error) {
    loop_.cancel(timer_);
    watch_.reset();
    reply_(
        Error(Errc::not_found, "port " + std::to_string(port_) + ": " + errno_text(error), error));
    on_end_();
  }

  void carry() {
    // A socket of its own for each direction, and one to end its sending half with.
    sent_ = duplicate(socket_);
    UniqueFd received = duplicate(socket_);
    to_container_.emplace(loop_, std::move(streams_.to_container), std::move(socket_), [this] {
      ::shutdown(sent_.get(), SHUT_WR);
      sent_.reset();
      end_one();
    });
    from_container_.emplace(loop_, std::move(received), std::move(streams_.from_container),
                            [this] { end_one(); });
  }

  void end_one() {
    if (to_container_->done() && from_container_->done()) on_end_();
  }

  EventLoop& loop_;
  std::uint16_t port_;
  int family_ = AF_UNSPEC, first_error_ = 0;
  Streams streams_;
  Reply reply_;
  std::function<void()> on_end_;
  UniqueFd socket_, sent_;
  EventLoop::TimerId timer_;
  EventLoop::Watch watch_;
  std::optional<StreamCopy> to_container_, from_container_;
};

PortConnector::PortConnector(EventLoop& loop) : loop_(loop) {}
PortConnector::~PortConnector() = default;

void PortConnector::connect(std::uint16_t port, Streams streams, const Reply& reply) {
  if (connections_.size() >= max_connections)
    throw Error(Errc::wrong_state, "too many connections are forwarded");
  const std::uint64_t id = next_id_++;
  connections_.emplace(id, std::make_unique<Connection>(loop_, port, std::move(streams), reply,
                                                        [this, id] { end(id); }));
}

/// Removes the connection in the loop's next turn: the caller is the connection itself.
void PortConnector::end(std::uint64_t id) {
  loop_.after(std::chrono::milliseconds{0}, [this, id] { connections_.erase(id); });
}

}  // namespace husk::agent
