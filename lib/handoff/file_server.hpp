// SPDX-License-Identifier: Apache-2.0
// The server of a VM's share, virtiofsd: what husk tells the keeper of it, which starts it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace husk::handoff {

struct FileServerSetup {
  std::string program;  ///< virtiofsd, an absolute path
  std::vector<std::string> arguments =
      {};  ///< but for the one that names its socket, which the keeper adds
  std::uint64_t max_open_files = 0;  ///< RLIMIT_NOFILE
  bool operator==(const FileServerSetup&) const = default;
};

/// The descriptors are the caller's, who keeps them open until the keeper has greeted.
struct FileServer {
  FileServerSetup setup;
  int socket = -1;  ///< listens for the hypervisor
  int log = -1;     ///< the server's standard output and error
};

}  // namespace husk::handoff
