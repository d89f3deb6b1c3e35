// SPDX-License-Identifier: Apache-2.0
// Sets the guest's clock by the times that the host says in passing (Hello::host_time_us).
#pragma once

#include <cstdint>

#include "lib/guestcomm/protocol/clock.hpp"

namespace husk::agent {

/// Pure. ahead_us: the guest's clock less the host's time; negative: behind. The first time is taken whatever it is. A time
/// that was on its way is never too late: a clock that is behind one is behind for sure, by more. So the clock is at last
/// as exact as the fastest hello was. As soon as containers use the clock, only a large difference is worth a step.
guestcomm::ClockChange plan_heard_change(std::int64_t ahead_us, bool is_set, bool is_used);

class HeardClock {
 public:
  /// The host's time, microseconds since 1970. Logs a clock that cannot be set.
  void hear(std::int64_t host_time_us) noexcept;
  void note_use() noexcept { is_used_ = true; }  ///< a container's process runs

 private:
  bool is_set_ = false, is_used_ = false;
};

}  // namespace husk::agent
