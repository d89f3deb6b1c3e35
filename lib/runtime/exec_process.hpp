// SPDX-License-Identifier: Apache-2.0
// The process that `husk exec ID COMMAND` asks for. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/oci/spec.hpp"

namespace husk::runtime {

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

/// Throws invalid_argument for a user that is not of that form.
oci::Process plan_exec_process(oci::Process container, const ExecChanges& changes);

}  // namespace husk::runtime
