// SPDX-License-Identifier: Apache-2.0
// Finds the file to execute for process.args[0].
#pragma once

#include <string>
#include <vector>

namespace husk::agent {

/// Looks `name` up as runc does, with this process's rights and root: in PATH of `environment`
/// unless it has a slash. Throws with runc's texts, which callers match: exec: "NAME": executable
/// file not found in $PATH.
std::string find_command(const std::string& name, const std::vector<std::string>& environment);

}  // namespace husk::agent
