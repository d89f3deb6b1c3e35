// SPDX-License-Identifier: Apache-2.0
// The command line that libvirt's ch driver has for cloud-hypervisor. Most of it is cloud-hypervisor's alone.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace husk::ch {

struct CommandLine {
  std::filesystem::path folder;              ///< the VM's: where argv[0] is
  bool asks_version = false;                 ///< then there is no API socket
  int api_socket = -1;                       ///< the descriptor of --api-socket fd=N
  std::optional<std::string> event_monitor;  ///< the path of --event-monitor path=FIFO
};

/// `arguments` begin with argv[0]. Leaves other options alone. Throws invalid_argument.
CommandLine read_command_line(const std::vector<std::string>& arguments);

}  // namespace husk::ch
