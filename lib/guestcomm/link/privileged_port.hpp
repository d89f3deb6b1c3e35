// SPDX-License-Identifier: Apache-2.0
// Ports below 1024, which the kernel gives to those with CAP_NET_BIND_SERVICE only.
#pragma once

#include <cstdint>
#include <functional>

namespace husk::guestcomm {

inline constexpr std::uint32_t first_unprivileged_port = 1024;

/// Calls `try_bind` with port after port until it returns true, and returns that port: from
/// a number made of `start` round all of 512 to 1023, then 511 down to 1. Throws system
/// (EADDRINUSE) when none is free.
std::uint32_t take_privileged_port(std::uint32_t start,
                                   const std::function<bool(std::uint32_t port)>& try_bind);

}  // namespace husk::guestcomm
