// SPDX-License-Identifier: Apache-2.0
// The work of PID 1 before anything can run in the guest.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

namespace husk::agent {

/// Settings from the kernel's command line.
struct BootOptions {
  std::optional<std::uint32_t> announce_port;  ///< husk.announce=PORT
  bool debug = false;                          ///< husk.debug
  bool stay = false;                           ///< husk.stay: goes on without connections
  bool spare = false;                          ///< husk.spare: the same, until ClaimVm
  bool privileged_ports = false;               ///< husk.privileged_ports: see vsock.hpp
  // Not of the command line.
  std::optional<std::string> refusal = {};  ///< why no container can be created here
  std::set<std::string> changed = {};       ///< AppliedSettings::changed
};

BootOptions parse_command_line(const std::string& command_line);

/// Root, mounts, log, the first modules, loopback, limits, the shared directory. Throws what the
/// guest cannot do without; what one container may miss is logged.
BootOptions boot();

inline constexpr const char* cgroup_parent = "/sys/fs/cgroup/husk";

}  // namespace husk::agent
