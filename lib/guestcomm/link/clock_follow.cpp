// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/clock_follow.hpp"

#include <algorithm>
#include <array>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/time.hpp"

namespace husk::guestcomm {
namespace {

/// A delay of one of them does not count.
constexpr std::size_t reading_count = 5;

std::chrono::milliseconds left(const Deadline& deadline) {
  return std::chrono::milliseconds{deadline.poll_timeout()};
}

/// The round trip by a clock that nobody sets meanwhile.
ClockReading read_clock(AgentClient& agent, const Deadline& deadline) {
  using SteadyClock = std::chrono::steady_clock;
  ClockReading reading{.asked_at_us = wall_clock_us()};
  const auto begin = SteadyClock::now();
  reading.guest_us = agent.call(ReadClock{}, left(deadline)).now_us;
  reading.round_trip_us =
      std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - begin).count();
  return reading;
}

}  // namespace

ClockDifference difference_in(std::span<const ClockReading> readings) {
  const auto best = std::ranges::min_element(readings, {}, &ClockReading::round_trip_us);
  if (best == readings.end()) throw Error(Errc::invalid_argument, "the guest's clock was not read");
  const std::int64_t half = best->round_trip_us / 2;
  return {.ahead_us = best->guest_us - (best->asked_at_us + half), .uncertainty_us = half};
}

ClockDifference measure_guest_clock(AgentClient& agent, std::chrono::milliseconds patience) {
  const Deadline deadline(patience);
  std::array<ClockReading, reading_count> readings;
  for (ClockReading& reading : readings) reading = read_clock(agent, deadline);
  return difference_in(readings);
}

std::optional<FollowedClock> correct_guest_clock(AgentClient& agent,
                                                 std::chrono::milliseconds patience) {
  if (agent.protocol() < clock_protocol) return std::nullopt;
  FollowedClock followed{.difference = measure_guest_clock(agent, patience)};
  followed.change = agent.call(CorrectClock{followed.difference}, patience).change;
  return followed;
}

}  // namespace husk::guestcomm
