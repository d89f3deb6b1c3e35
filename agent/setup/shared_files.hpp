// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "lib/base/unique_fd.hpp"

namespace husk::agent {

/// The host's files as a container sees them: its mounts of virtio-fs. More than one file system
/// where virtiofsd announces the mounts below the share (Debian 13's does): the kernel makes one of
/// each, and again for each mount namespace that comes across it.
class SharedFiles {
 public:
  /// Those in the mount namespace of `pid`. Where the container has run, its own mounts may be in
  /// the way, and a file system of its making may never answer: to be called by a process that only
  /// it waits for. Whatever cannot be found is left out.
  explicit SharedFiles(pid_t pid) noexcept;

  /// Makes the next look at one of these files a look at the host. For a second virtio-fs trusts
  /// what it knows of names, sizes and times, but a process that is started now must see what the
  /// host changed before: engines fill in /etc/hosts between create and start, people copy files
  /// into a container and exec. What cannot be asked for again is left to that second.
  void forget() const noexcept;
  /// Drops what is known of the share itself: which containers it has files of.
  static void forget_share() noexcept;

 private:
  std::vector<UniqueFd> mounts_;  ///< O_PATH; of each file system one at least
};

/// Of a container that is gone: unmounts its part of the share here, where the kernel mounted it when
/// the agent came across, so that the host gets its files back.
void let_go_of_files(const std::string& container) noexcept;

}  // namespace husk::agent
