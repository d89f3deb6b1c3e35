// SPDX-License-Identifier: Apache-2.0
// How a kernel parameter is written, by the rule of sysctl(8) and runc.
#pragma once

#include <optional>
#include <string>

namespace husk::oci {

/// The file below /proc/sys. Whichever of '.' and '/' comes first separates; the other one stands
/// for '.' in a name: "net.ipv4.conf.eth0/100.forwarding" and "net/ipv4/conf/eth0.100/forwarding"
/// are the same. Empty if it names none, or could lead out of its folder.
std::optional<std::string> parse_sysctl_name(const std::string& name);

}  // namespace husk::oci
