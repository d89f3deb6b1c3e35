// SPDX-License-Identifier: Apache-2.0
// Dockerd's resolver asks outside from within a container's namespace, with the container's address.
// Its answers are for the host, all else for the VM. What tells them apart is the port: sockets of
// the namespace get theirs from a range that the guest's kernel does not use for its own.
#pragma once

#include <cstdint>

#include "lib/network/namespace.hpp"

namespace husk::network {

inline constexpr std::uint16_t reserved_ports_first = 61440, reserved_ports_last = 61951;
/// Those whose bits under the mask are those of the first.
inline constexpr std::uint16_t reserved_ports_mask = 0xfe00;

/// Sockets in the namespace that ask for no port get one of those (net.ipv4.ip_local_port_range,
/// which is IPv6's as well). Throws system.
void use_reserved_ports(const NetworkNamespace& in);

}  // namespace husk::network
