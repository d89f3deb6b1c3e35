// SPDX-License-Identifier: Apache-2.0
// Checks of a cgroup before a container's processes enter it, as runc has them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

namespace husk::runtime {

/// Whether a process would be frozen in `cgroup`, which need not exist: the cgroup or a parent up to `mount_point`
/// is frozen or being frozen. cgroup v1 ("freezer.state") and v2 ("cgroup.freeze").
bool is_frozen(const std::filesystem::path& cgroup, const std::filesystem::path& mount_point);

/// How many processes are in these cgroups and those below, one that is in several counted once.
std::size_t count_processes(const std::vector<std::filesystem::path>& cgroups);

}  // namespace husk::runtime
