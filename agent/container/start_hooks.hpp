// SPDX-License-Identifier: Apache-2.0
// startContainer hooks: programs of the container's that run before its own.
#pragma once

#include <string>
#include <vector>

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// In the container's first process, with the user's rights, after the start order. state: JSON, in
/// which this process's pid is set. Throws what the first failing one did, in one line.
void run_start_hooks(const std::vector<oci::Hook>& hooks, const std::string& state);

}  // namespace husk::agent
