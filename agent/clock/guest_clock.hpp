// SPDX-License-Identifier: Apache-2.0
// The guest's CLOCK_REALTIME, which the host has the agent set and correct.
#pragma once

#include <cstdint>

#include "lib/guestcomm/protocol/clock.hpp"

namespace husk::agent {

/// A difference of at least so much is stepped. A slew of it takes 200 s. A host's clock that was set by so much has been
/// stepped as well.
inline constexpr std::int64_t step_threshold_us = 100'000;

/// Pure. None if the clock may be right already. A step only if the difference is certain: a busy host makes long round
/// trips.
guestcomm::ClockChange plan_clock_change(const guestcomm::ClockDifference& difference);

/// Sets the clock to that, microseconds since 1970. Ends a slew. Throws invalid_argument where the kernel refuses the time.
void set_clock(std::int64_t now_us);

/// Corrects a clock that is ahead by `ahead_us` (negative: behind). A new correction replaces a slew that goes on. Throws as
/// set_clock().
void correct_clock(guestcomm::ClockChange change, std::int64_t ahead_us);

}  // namespace husk::agent
