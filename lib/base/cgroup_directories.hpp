// SPDX-License-Identifier: Apache-2.0
// Cgroups as directories: husk's own, and those that others made and left.
#pragma once

#include <filesystem>
#include <vector>

namespace husk {

/// Below a container's cgroup for the moment in which a kill is counted (lib/runtime/host/count_oom_kill.hpp).
inline constexpr const char* cgroup_for_processes = "husk.processes";
inline constexpr const char* cgroup_for_kill = "husk.kill";

/// Removes the directories (parents first in the list), the last one first; waits up to 0.5 s for
/// each whose last process is on its way out. What others use, what is no longer there, and what is
/// not a directory of a cgroup file system, is left as it is. The two cgroups above, which a husk that was killed has
/// left below them, go first.
void remove_cgroups(const std::vector<std::filesystem::path>& directories) noexcept;

}  // namespace husk
