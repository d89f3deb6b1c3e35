// SPDX-License-Identifier: Apache-2.0
#include "test/agent/fake_vsock.hpp"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
// Included after sys/socket.h, which it needs.
#include <linux/vm_sockets.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

constexpr std::uint32_t host = 2;

std::string name_prefix() { return "husk-vsock-" + std::to_string(::getpid()) + "-"; }

/// The abstract socket that stands for the port.
struct Name {
  sockaddr_un address{};
  socklen_t size;

  explicit Name(std::uint32_t port) {
    const std::string text = name_prefix() + std::to_string(port);
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, text.data(), text.size());
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  }
};

std::uint32_t port_of(const sockaddr* address) {
  sockaddr_vm vsock{};
  std::memcpy(&vsock, address, sizeof vsock);
  return vsock.svm_port;
}

/// What accept4(2) says of a peer.
void describe_peer(const sockaddr_un& peer, socklen_t peer_size, sockaddr* address,
                   socklen_t* size) {
  const std::string prefix = name_prefix();
  const std::size_t start = offsetof(sockaddr_un, sun_path) + 1;
  const std::string name(peer.sun_path + 1, peer_size > start ? peer_size - start : 0);
  sockaddr_vm vsock{};
  vsock.svm_family = AF_VSOCK;
  vsock.svm_cid = host;
  vsock.svm_port = static_cast<std::uint32_t>(std::stoul(name.substr(prefix.size())));
  std::memcpy(address, &vsock, std::min<std::size_t>(*size, sizeof vsock));
  *size = sizeof vsock;
}

}  // namespace

extern "C" int socket(int family, int type, int protocol) noexcept {
  return static_cast<int>(
      ::syscall(SYS_socket, family == AF_VSOCK ? AF_UNIX : family, type, protocol));
}

extern "C" int bind(int fd, const sockaddr* address, socklen_t size) noexcept {
  if (address->sa_family != AF_VSOCK)
    return static_cast<int>(::syscall(SYS_bind, fd, address, size));
  const Name name(port_of(address));
  return static_cast<int>(::syscall(SYS_bind, fd, &name.address, name.size));
}

extern "C" int connect(int fd, const sockaddr* address, socklen_t size) {
  if (address->sa_family != AF_VSOCK)
    return static_cast<int>(::syscall(SYS_connect, fd, address, size));
  const Name name(port_of(address));
  return static_cast<int>(::syscall(SYS_connect, fd, &name.address, name.size));
}

extern "C" int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  if (address == nullptr || *size != sizeof(sockaddr_vm))
    return static_cast<int>(::syscall(SYS_accept4, fd, address, size, flags));
  sockaddr_un peer{};
  socklen_t peer_size = sizeof peer;
  const auto accepted = static_cast<int>(::syscall(SYS_accept4, fd, &peer, &peer_size, flags));
  if (accepted >= 0) describe_peer(peer, peer_size, address, size);
  return accepted;
}

namespace husk::test {
namespace {

sockaddr_vm vsock_name(std::uint32_t port) {
  sockaddr_vm name{};
  name.svm_family = AF_VSOCK;
  name.svm_cid = VMADDR_CID_ANY;
  name.svm_port = port;
  return name;
}

}  // namespace

UniqueFd bind_to(std::uint32_t port) {
  UniqueFd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_vm name = vsock_name(port);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) return {};
  return socket;
}

UniqueFd connect_from(std::uint32_t source, std::uint32_t port) {
  UniqueFd socket = bind_to(source);
  const sockaddr_vm name = vsock_name(port);
  if (!socket ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0)
    return {};
  return socket;
}

}  // namespace husk::test
