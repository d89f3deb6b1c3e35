// SPDX-License-Identifier: Apache-2.0
#include "agent/clock/heard_clock.hpp"

#include "agent/clock/guest_clock.hpp"
#include "lib/base/log.hpp"
#include "lib/base/time.hpp"

namespace husk::agent {

using guestcomm::ClockChange;

ClockChange plan_heard_change(std::int64_t ahead_us, bool is_set, bool is_used) {
  if (!is_set) return ClockChange::step;
  const std::int64_t least = is_used ? step_threshold_us : 1;
  return -ahead_us >= least ? ClockChange::step : ClockChange::none;
}

void HeardClock::hear(std::int64_t host_time_us) noexcept {
  warn_on_failure([&] {
    const std::int64_t ahead_us = wall_clock_us() - host_time_us;
    if (plan_heard_change(ahead_us, is_set_, is_used_) == ClockChange::step)
      set_clock(host_time_us);
    is_set_ = true;
  });
}

}  // namespace husk::agent
