// SPDX-License-Identifier: Apache-2.0
// Has the host's kernel count a kill for want of memory in a cgroup, where containerd and conmon look for it. The kernel of
// a guest has killed the process; that is nothing that the host's kernel counts.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>

namespace husk::runtime {

/// In the memory cgroup that `shim` is in, and with cgroup v2 in all above it. A child process of this one is what gets
/// killed, and no other process. Meanwhile, some milliseconds as a rule, the others of the cgroup are in another one, so
/// hold the VM's locks: nobody else may move them. Does nothing in the root cgroup, or where the host has no controller
/// for memory. `limit`: the limit of the cgroup's memory in bytes, which a husk that was killed half-way may have left
/// lower. Throws system, timed_out, and undoes what it did; the next call undoes what a killed one did. Call it in a process
/// with one thread.
void count_oom_kill(pid_t shim, const std::optional<std::uint64_t>& limit);

/// The directory that counts the process's memory; empty: none does.
std::filesystem::path memory_cgroup_of(pid_t member);

/// cgroup v2: "oom_kill" in memory.events. The kill is in a cgroup below, and the others are in a second one below, since
/// one with processes has no controllers for those below.
void count_oom_kill_v2(const std::filesystem::path& directory);

/// cgroup v1: the eventfd of memory.oom_control, which only tells of the cgroup itself and of those above. So the kill is
/// in `directory`, and the others are in a cgroup beside, which the limit does not reach.
void count_oom_kill_v1(const std::filesystem::path& directory,
                       const std::optional<std::uint64_t>& limit);

}  // namespace husk::runtime
