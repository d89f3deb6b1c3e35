// SPDX-License-Identifier: Apache-2.0
// Which process a pid means: pids are used again, (pid, start time) pairs are not.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "lib/base/unique_fd.hpp"

namespace husk {

struct ProcessIdentity {
  pid_t pid = 0;
  std::uint64_t start_time = 0;  ///< clock ticks since boot, field 22 of /proc/PID/stat
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

/// Returns nothing if there is no such process. A zombie counts as gone.
std::optional<ProcessIdentity> identify_process(pid_t pid);

/// The process of a pidfd; nothing if it has ended, or is in no pid namespace of this process.
std::optional<ProcessIdentity> identify_pidfd(int pidfd);

/// The children of the process, as far as they can be seen in /proc.
std::vector<ProcessIdentity> children_of(const ProcessIdentity& process);

/// Whether that very process still runs (not a zombie, not another one with its pid).
bool is_alive(const ProcessIdentity& process);

/// Whether each thread of the process `pid` is in exit(2), or the process is gone. Nothing can join its namespaces
/// then, although a pidfd may not say yet that it has ended: the first process of a pid namespace waits in exit(2)
/// until the others are gone.
bool is_ending(pid_t pid);

/// A pidfd of exactly that process; empty if it is gone.
UniqueFd open_process(const ProcessIdentity& process);

/// False if it still runs after `patience`.
bool wait_for_end(const ProcessIdentity& process, std::chrono::milliseconds patience);

/// SIGKILL. False if it still runs after `patience`.
bool kill_process(const ProcessIdentity& process, std::chrono::milliseconds patience);

}  // namespace husk
