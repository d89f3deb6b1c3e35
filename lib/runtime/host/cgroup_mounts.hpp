// SPDX-License-Identifier: Apache-2.0
// libvirt takes the last cgroup file system of the mount table for the host's. A bind of "/" would
// put a copy of it there, below the VM's share, and no VM could be started any more.
#pragma once

#include <filesystem>

#include "lib/base/unique_fd.hpp"

namespace husk::runtime {

/// Whether the open file is one of a cgroup file system, of either version. Throws system.
bool is_cgroup_filesystem(int fd);

/// Whether the mount table has a cgroup file system below `path`. Throws system.
bool has_cgroup_mounts_below(const std::filesystem::path& path);

/// The same mounts, none of which may be a peer of the host's (MS_SHARED), without those of cgroup file
/// systems: their mount points show what is under them. Moves the calling thread into a mount namespace of its own, for good. Throws system.
UniqueFd without_cgroup_mounts(UniqueFd tree);

}  // namespace husk::runtime
