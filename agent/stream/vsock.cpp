// SPDX-License-Identifier: Apache-2.0
#include "agent/stream/vsock.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
// Included after sys/socket.h, which it needs.
#include <linux/vm_sockets.h>

#include <string>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/guestcomm/protocol/connections.hpp"
#include "lib/guestcomm/protocol/protocol_range.hpp"

namespace husk::agent {
namespace {

constexpr int vsock_backlog = 1024;
constexpr int accepted_at_once = 64;
/// While there is no room, or no descriptor left.
constexpr std::chrono::milliseconds rest_time{10};
constexpr std::chrono::milliseconds announce_pause{10};
constexpr std::uint32_t first_unprivileged_port = 1024;

struct sockaddr_vm address(std::uint32_t cid, std::uint32_t port) {
  struct sockaddr_vm made {};
  made.svm_family = AF_VSOCK;
  made.svm_cid = cid;
  made.svm_port = port;
  return made;
}

UniqueFd make_socket(int flags) {
  return UniqueFd{
      check_sys(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), "vsock socket")};
}

/// Returns nothing, with errno set, if the host does not accept within `patience`.
UniqueFd connect_host(std::uint32_t port, std::chrono::seconds patience) {
  UniqueFd socket = make_socket(0);
  struct timeval timeout {};
  timeout.tv_sec = patience.count();
  ::setsockopt(socket.get(), AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof timeout);
  const struct sockaddr_vm host = address(guestcomm::host_cid, port);
  if (::connect(socket.get(), reinterpret_cast<const struct sockaddr*>(&host), sizeof host) != 0) {
    const int error = errno;
    socket.reset();
    errno = error;
  }
  return socket;
}

}  // namespace

std::optional<Caller> recognise(std::uint32_t cid, std::uint32_t port,
                                bool privileged_ports) noexcept {
  if (cid != guestcomm::host_cid) return std::nullopt;
  return !privileged_ports || port < first_unprivileged_port ? Caller::root : Caller::anybody;
}

VsockListener::VsockListener(EventLoop& loop, std::uint32_t port, bool privileged_ports,
                             Handlers handlers)
    : loop_(loop),
      socket_(make_socket(SOCK_NONBLOCK)),
      privileged_ports_(privileged_ports),
      handlers_(std::move(handlers)) {
  const struct sockaddr_vm local = address(VMADDR_CID_ANY, port);
  check_sys(::bind(socket_.get(), reinterpret_cast<const struct sockaddr*>(&local), sizeof local),
            "bind vsock port " + std::to_string(port));
  check_sys(::listen(socket_.get(), vsock_backlog), "listen on vsock port " + std::to_string(port));
  watch();
}

VsockListener::~VsockListener() { loop_.cancel(rest_timer_); }

void VsockListener::watch() {
  watch_ = loop_.watch(socket_.get(), EPOLLIN, [this](std::uint32_t) { accept_some(); });
}

void VsockListener::rest() {
  watch_.reset();
  rest_timer_ = loop_.after(rest_time, [this] { watch(); });
}

/// Several, as each of many connections that send garbage has its turn before the next call.
void VsockListener::accept_some() {
  for (int count = 0; count < accepted_at_once && accept_one(); ++count) {
  }
}

/// False: there is none, or no room.
bool VsockListener::accept_one() {
  if (!handlers_.has_room()) {
    rest();
    return false;
  }
  struct sockaddr_vm peer {};
  socklen_t length = sizeof peer;
  UniqueFd connection{::accept4(socket_.get(), reinterpret_cast<struct sockaddr*>(&peer), &length,
                                SOCK_CLOEXEC | SOCK_NONBLOCK)};
  if (!connection) {
    if (errno == EMFILE || errno == ENFILE) rest();
    return false;  // otherwise it is gone already
  }
  const auto caller = recognise(peer.svm_cid, peer.svm_port, privileged_ports_);
  if (!caller) {
    log(LogLevel::warning, "connection from cid " + std::to_string(peer.svm_cid) + ", port " +
                               std::to_string(peer.svm_port) + " refused");
    return true;
  }
  handlers_.on_accept(std::move(connection), *caller);
  return true;
}

void announce(std::uint32_t port, std::chrono::seconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  step("announce", [&] {
    UniqueFd socket = connect_host(port, patience);
    // The host's queue may be full of other guests' connections, and the kernel resets this one then.
    while (!socket && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(announce_pause);
      socket = connect_host(port, patience);
    }
    if (!socket) throw_errno("connect to host port " + std::to_string(port));
    const auto [oldest, newest] = guestcomm::own_protocols;
    write_all(socket.get(), std::string(guestcomm::announcement_start) + std::to_string(oldest) +
                                " " + std::to_string(newest) + "\n");
  });
}

}  // namespace husk::agent
