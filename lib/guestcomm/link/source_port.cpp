// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/source_port.hpp"

#include <sys/socket.h>
// Included after sys/socket.h, which it needs.
#include <linux/vm_sockets.h>

#include <cerrno>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/random_id.hpp"

namespace husk::guestcomm {
namespace {
constexpr std::uint32_t half = first_unprivileged_port / 2;
constexpr int port_tries = 100;

std::uint32_t random_number() {
  return static_cast<std::uint32_t>(std::stoul(random_hex(4), nullptr, 16));
}

/// The kernel counts VMADDR_PORT_ANY up: who knows one port would know the next one.
std::uint32_t random_port() {
  const std::uint32_t port = random_number();
  return port < first_unprivileged_port || port == VMADDR_PORT_ANY ? random_port() : port;
}

/// False: another socket has it.
bool try_bind(int socket, std::uint32_t port) {
  sockaddr_vm name{};
  name.svm_family = AF_VSOCK;
  name.svm_cid = VMADDR_CID_ANY;
  name.svm_port = port;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): how the sockets API is
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) return true;
  if (errno != EADDRINUSE) throw_errno("bind vsock port " + std::to_string(port));
  return false;
}

}  // namespace

std::uint32_t take_privileged_port(std::uint32_t start,
                                   const std::function<bool(std::uint32_t port)>& try_bind) {
  for (std::uint32_t n = 0; n < half; ++n) {
    const std::uint32_t port = half + (start + n) % half;
    if (try_bind(port)) return port;
  }
  // As rresvport(3) has it, the lower half is left to services with fixed ports if possible.
  for (std::uint32_t port = half - 1; port > 0; --port) {
    if (try_bind(port)) return port;
  }
  throw Error(Errc::system,
              "no vsock port below 1024 is free: this host cannot reach more containers",
              EADDRINUSE);
}

std::uint32_t bind_port(int socket, SourcePort kind) {
  if (kind == SourcePort::privileged)
    return take_privileged_port(random_number(),
                                [&](std::uint32_t port) { return try_bind(socket, port); });
  for (int n = 0; n < port_tries; ++n)
    if (const std::uint32_t port = random_port(); try_bind(socket, port)) return port;
  throw_errno("bind a vsock port", EADDRINUSE);
}

}  // namespace husk::guestcomm
