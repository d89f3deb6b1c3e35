// SPDX-License-Identifier: Apache-2.0
// The guest's network parameters, below /proc/sys/net.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

namespace husk::agent {

/// Name below /proc/sys/net, to its value.
using Sysctls = std::map<std::string, std::string>;

/// "eth0" of "ipv4/conf/eth0/forwarding" and "ipv6/neigh/eth0/..."; empty for one that is of no link:
/// "all" and "default" are none.
std::string link_of_sysctl(const std::string& name);

/// Writes those that have another value: first what is of all links, as that changes each of them.
/// A sysctl that this kernel does not know is left out, with a line in the log; one of a link that is
/// not there is an error. Throws invalid_argument for a name that leads elsewhere.
void apply_network_sysctls(const Sysctls& want);

/// Adds the host's ports (carried_network.hpp) to ip_local_reserved_ports; returns nothing if `ports` cannot
/// be read.
std::optional<std::string> with_host_ports(const std::string& ports);
/// `wanted`: what else shall be reserved; empty: what is.
void reserve_host_ports(const std::optional<std::string>& wanted);

}  // namespace husk::agent
