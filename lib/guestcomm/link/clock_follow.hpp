// SPDX-License-Identifier: Apache-2.0
// The host's side of a guest's clock that follows the host's (protocol/clock.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/guestcomm/link/agent_client.hpp"
#include "lib/guestcomm/protocol/clock.hpp"

namespace husk::guestcomm {

/// One look at the guest's clock. Microseconds; the first and the last since 1970.
struct ClockReading {
  std::int64_t asked_at_us = 0;    ///< by the host's clock
  std::int64_t round_trip_us = 0;  ///< from the question to the answer
  std::int64_t guest_us = 0;       ///< the answer
};

/// The difference by the reading with the shortest round trip, which can be wrong by half of that. The guest's
/// answer is taken as from the middle of the round trip. Throws invalid_argument without readings.
ClockDifference difference_in(std::span<const ClockReading> readings);

/// Reads the guest's clock a few times, in `patience` in all. The agent has to speak clock_protocol. Throws what
/// AgentClient::call throws.
ClockDifference measure_guest_clock(AgentClient& agent, std::chrono::milliseconds patience);

struct FollowedClock {
  ClockDifference difference;  ///< before the correction
  ClockChange change = ClockChange::none;
};

/// Measures and has the agent correct what was measured, each in `patience`. Returns nothing if the
/// agent is from before clock_protocol. Throws what AgentClient::call throws.
std::optional<FollowedClock> correct_guest_clock(AgentClient& agent,
                                                 std::chrono::milliseconds patience);

}  // namespace husk::guestcomm
