// SPDX-License-Identifier: Apache-2.0
// The memory and pids that the guest keeps back from its containers, so that the agent can work whatever they do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace husk::agent {

/// The guest's memory in bytes; its tasks are threads, those of the kernel included.
struct GuestCapacity {
  std::uint64_t memory_total = 0;
  std::uint64_t memory_available = 0;  ///< before the first container
  std::uint64_t tasks_max = 0;         ///< the smaller one of threads-max and pid_max
  std::uint64_t tasks = 0;             ///< before the first container
  bool operator==(const GuestCapacity&) const = default;
};

/// Limits for all containers together.
struct ContainerShare {
  std::uint64_t memory_max = 0, pids_max = 0;
  bool operator==(const ContainerShare&) const = default;
};

/// Computes what is free, without a reserve: a 32nd of the memory, between 8 and 32 MiB, and a 16th of the
/// tasks, between 64 and 256. Half of what is free at least; but one task for 256 KiB of memory at most.
ContainerShare plan_container_share(const GuestCapacity& capacity);

/// Parses the texts of /proc/meminfo, /proc/loadavg, threads-max and pid_max in /proc/sys/kernel.
/// Throws invalid_argument where a number is missing.
GuestCapacity parse_guest_capacity(const std::string& meminfo, const std::string& loadavg,
                                   const std::string& threads_max, const std::string& pid_max);
/// Reads those files below `proc`. Throws system, invalid_argument.
GuestCapacity load_guest_capacity(const std::filesystem::path& proc = "/proc");

/// Writes memory.max and pids.max of the cgroup `parent`. Throws system.
void apply_container_share(const ContainerShare& share, const std::filesystem::path& parent);

}  // namespace husk::agent
