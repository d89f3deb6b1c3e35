// SPDX-License-Identifier: Apache-2.0
// Has the host's kernel count a kill for want of memory in a cgroup, where containerd and conmon look for it. The kernel of
// a guest has killed the process; that is nothing that the host's kernel counts.
#pragma once

#include <sys/types.h>

#include <filesystem>

namespace husk::runtime {

/// In the memory cgroup that `shim` is in, and in all above it. A child process of this one is what gets killed; no other
/// process is, whatever cgroup it is in. Does nothing in the root cgroup, or where the host has no controller for memory.
/// Takes milliseconds; throws system, timed_out, and undoes what it did. Call it in a process with one thread.
void count_oom_kill(pid_t shim);

/// cgroup v2: "oom_kill" in memory.events. A cgroup below has the limit, which needs all processes of `directory` in
/// another one below for that time.
void count_oom_kill_v2(const std::filesystem::path& directory);

/// cgroup v1: the eventfd of memory.oom_control. `directory` itself is at its limit for that time: who needs memory then
/// waits.
void count_oom_kill_v1(const std::filesystem::path& directory);

}  // namespace husk::runtime
