// SPDX-License-Identifier: Apache-2.0
// Dockerd's resolver asks outside from within a container's namespace, with the container's address.
// Its answers are for the host, all else for the VM. What tells them apart is the port: sockets of
// the namespace get theirs from a range that the guest's kernel does not use for its own.
#pragma once

#include <cstdint>
#include <string>

#include "lib/guestcomm/protocol/carried_network.hpp"
#include "lib/network/namespace.hpp"

namespace husk::network {

/// A port is reserved if its bits under the mask are those of guestcomm::first_host_port.
inline constexpr std::uint16_t reserved_ports_mask = 0xfe00;

/// The ports that sockets in a namespace get when they ask for none: net.ipv4.ip_local_port_range,
/// which is IPv6's as well.
struct PortRange {
  std::uint16_t first = 0, last = 0;
  bool operator==(const PortRange&) const = default;
};
inline constexpr PortRange reserved_ports{guestcomm::first_host_port, guestcomm::last_host_port};

/// "32768 60999", with any white space. Throws invalid_argument.
PortRange parse_port_range(const std::string& text);
std::string to_string(const PortRange& range);

/// Throws system.
PortRange read_ports(const NetworkNamespace& in);
void use_ports(const NetworkNamespace& in, const PortRange& range);

}  // namespace husk::network
