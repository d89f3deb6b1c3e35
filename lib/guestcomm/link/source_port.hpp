// SPDX-License-Identifier: Apache-2.0
// The AF_VSOCK ports that husk's own ends have.
#pragma once

#include <cstdint>
#include <functional>

namespace husk::guestcomm {

/// The source port of an AF_VSOCK connection. The kernel gives a privileged one (below 1024) to root only, and the host
/// has 1023 of these for the connections to all its guests.
enum class SourcePort { any, privileged };

/// The kernel gives ports below this one to those with CAP_NET_BIND_SERVICE only.
inline constexpr std::uint32_t first_unprivileged_port = 1024;

/// Calls `try_bind` with port after port until it returns true, and returns that port: from
/// a number made of `start` round all of 512 to 1023, then 511 down to 1. Throws system
/// (EADDRINUSE) when none is free.
std::uint32_t take_privileged_port(std::uint32_t start,
                                   const std::function<bool(std::uint32_t port)>& try_bind);

/// Binds the AF_VSOCK socket to a free port of that kind, and returns the port. One that is not privileged is random, so
/// that nobody can know or take it in advance. Throws system.
std::uint32_t bind_port(int socket, SourcePort kind);

}  // namespace husk::guestcomm
