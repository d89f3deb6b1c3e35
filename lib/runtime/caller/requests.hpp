// SPDX-License-Identifier: Apache-2.0
// Parameters of the commands, from cli/ to Runtime (runtime.hpp).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/oci/spec.hpp"

namespace husk::runtime {

/// How a caller wants a process's streams.
struct StreamsRequest {
  bool detached = true;  ///< the command does not wait for the process
  std::optional<std::filesystem::path> console_socket;
};

/// The differences from the container's first process, as runc's flags say them.
struct ExecChanges {
  std::vector<std::string> args;
  std::vector<std::string> env;  ///< added: the last of one name counts
  std::optional<std::string> cwd;
  std::optional<std::string> user;  ///< "UID[:GID]"
  std::vector<std::uint32_t> additional_gids;
  std::vector<std::string> capabilities;  ///< added
  bool terminal = false, no_new_privileges = false;
};

struct CreateRequest {
  std::string id;
  std::filesystem::path bundle;                            ///< absolute
  std::optional<std::filesystem::path> pid_file;           ///< absolute
  std::optional<std::filesystem::path> pidfd_socket = {};  ///< absolute; gets a pidfd of the shim
  /// Not detached: the shim shall end when the calling process does (run without --detach).
  StreamsRequest streams;
  bool systemd_cgroup = false;  ///< cgroupsPath names a unit of systemd, "slice:prefix:name"
};

struct CreatedContainer {
  pid_t shim_pid = 0;
  bool has_terminal = false;
};

struct ExecRequest {
  std::string id;
  /// The whole process (--process), or its differences from the container's first.
  std::variant<oci::Process, ExecChanges> process;
  std::optional<std::filesystem::path> pid_file;           ///< absolute
  std::optional<std::filesystem::path> pidfd_socket = {};  ///< absolute; gets a pidfd of the shim
  std::string cgroup;                                      ///< below the container's, in the guest
  bool ignore_paused = false;  ///< it runs when the container is resumed, or fails after a while
  StreamsRequest streams;
};

}  // namespace husk::runtime
