// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace husk::agent {

// The host's files: mounts of virtio-fs. More than one file system where virtiofsd announces the mounts
// below the share (Debian 13's does): the kernel makes one of each, and again for each mount namespace that
// comes across it. Those of the volumes are made in the agent's (volumes.hpp).

/// Makes the next look at a file that the mount namespace of `pid` has of the host a look at the host. For a
/// second virtio-fs trusts what it knows of names, sizes and times, but a process that is started now must see
/// what the host changed before: engines fill in /etc/hosts between create and start, people copy files into a
/// container and exec. What cannot be asked for again is left to that second.
/// The host may not answer. Nor may a file system of the container's that is in the way, where something of it
/// has run. To be called by a process that only the container waits for.
void forget_shared_files(pid_t pid) noexcept;

/// Drops what is known of the share itself: which containers it has files of. Asks nobody.
void forget_share() noexcept;

/// Where the kernel mounted files of a container here when the agent came across; what is mounted on another
/// one comes later. Asks nobody. Throws system.
std::vector<std::filesystem::path> mounts_in_share(const std::string& container);

/// Unmounts them, the last one first, so that the host gets its files back. The host may not answer.
void let_go_of_files(const std::vector<std::filesystem::path>& mounts) noexcept;

}  // namespace husk::agent
