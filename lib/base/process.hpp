// SPDX-License-Identifier: Apache-2.0
// Which process a pid means: pids are used again, (pid, start time) pairs are not.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace husk {

struct ProcessIdentity {
  pid_t pid = 0;
  std::uint64_t start_time = 0;  ///< clock ticks since boot, field 22 of /proc/PID/stat
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

/// Empty if there is no such process. A zombie counts as gone.
std::optional<ProcessIdentity> identify_process(pid_t pid);

/// Whether that very process still runs (not a zombie, not another one with its pid).
bool is_alive(const ProcessIdentity& process);

}  // namespace husk
