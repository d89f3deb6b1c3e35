// SPDX-License-Identifier: Apache-2.0
// Cgroups as directories: husk's own, and those that others made and left.
#pragma once

#include <filesystem>
#include <vector>

namespace husk {

/// Removes the directories (parents first in the list), the last one first; waits up to 0.5 s for
/// each whose last process is on its way out. What others use, what is no longer there, and what is
/// not a directory of a cgroup file system, is left as it is.
void remove_cgroups(const std::vector<std::filesystem::path>& directories) noexcept;

}  // namespace husk
