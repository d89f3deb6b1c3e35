// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace husk::runtime {

/// One of the host's cgroup file systems: v1, or v2 ("cgroup2").
struct Hierarchy {
  std::filesystem::path mount_point;
  bool v2 = false;
  bool systemds = false;  ///< systemd makes the folders of its units here
  std::string options;    ///< of v1: which controllers it is for
};

/// Each hierarchy once. A part of one that is mounted somewhere, as containers have it, is of use only where the
/// whole is not mounted. Throws unsupported on a host without any.
std::vector<Hierarchy> find_hierarchies();

/// The cgroup that a process is in, in one hierarchy.
struct MemberCgroup {
  Hierarchy hierarchy;
  std::filesystem::path directory;
};

/// Finds the process's cgroup in each hierarchy (cgroups(7), "/proc/[pid]/cgroup"). While a kill is counted
/// (count_oom_kill.hpp), returns the container's cgroup all the same. Throws system when the process is gone.
std::vector<MemberCgroup> find_cgroups_of(pid_t member);

}  // namespace husk::runtime
