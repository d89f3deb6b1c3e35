// SPDX-License-Identifier: Apache-2.0
// Cgroups as directories: husk's own, and those that others made and left.
#pragma once

#include <filesystem>
#include <vector>

namespace husk {

/// Cgroups for the moment in which a kill is counted (lib/runtime/host/count_oom_kill.hpp): below a container's, or, where
/// cgroup v1 counts memory, beside it.
inline constexpr const char* cgroup_for_processes = "husk.processes";
inline constexpr const char* cgroup_for_kill = "husk.kill";
inline constexpr const char* suffix_beside = ".husk.processes";

/// The container's cgroup, of `cgroup` or of one that stands for it meanwhile.
std::filesystem::path without_detour(const std::filesystem::path& cgroup);

/// Removes the directories (parents first in the list), the last one first; waits up to 0.5 s for
/// each whose last process is on its way out. What others use, what is no longer there, and what is
/// not a directory of a cgroup file system, is left as it is. The cgroups above, which a husk that was killed has
/// left, go first.
void remove_cgroups(const std::vector<std::filesystem::path>& directories) noexcept;

}  // namespace husk
