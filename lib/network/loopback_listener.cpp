// SPDX-License-Identifier: Apache-2.0
#include "lib/network/loopback_listener.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include "lib/base/error.hpp"
#include "lib/network/socket_lookup.hpp"

namespace husk::network {
namespace {

constexpr int backlog = 128;

void set_option(int socket, int level, int option, int value) {
  check_sys(::setsockopt(socket, level, option, &value, sizeof value), "setsockopt");
}

/// Listens for both families. At 127.0.0.1 and not at every address: the port that it has besides must not be
/// reached from outside.
UniqueFd open_listener() {
  UniqueFd socket{check_sys(
      ::socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP), "socket")};
  set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  set_option(socket.get(), IPPROTO_IP, IP_FREEBIND, 1);  // the caller may set lo up later
  sockaddr_in6 own{};
  own.sin6_family = AF_INET6;
  own.sin6_addr = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}}};
  check_sys(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), "bind");
  check_sys(::listen(socket.get(), backlog), "listen");
  return socket;
}

}  // namespace

LoopbackListener listen_on_loopback(const NetworkNamespace& in) {
  return step("loopback of network namespace " + in.name(), [&] {
    if (in.is_the_hosts()) throw Error(Errc::unsupported, "belongs to the host");
    const InNetworkNamespace inside(in);
    UniqueFd socket = open_listener();
    UniqueFd steering = steer_loopback(in, socket.get());
    return LoopbackListener{std::move(socket), std::move(steering)};
  });
}

std::uint16_t wanted_port(int connection) {
  sockaddr_in6 own{};
  socklen_t length = sizeof own;
  check_sys(::getsockname(connection, reinterpret_cast<sockaddr*>(&own), &length), "getsockname");
  return ntohs(own.sin6_port);
}

}  // namespace husk::network
