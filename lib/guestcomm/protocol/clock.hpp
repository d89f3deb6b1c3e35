// SPDX-License-Identifier: Apache-2.0
// The guest's clock follows the host's. The first Hello tells the guest the time. Later the host measures how far
// the guest's clock is off (link/clock_follow.hpp), and the agent corrects it. From clock_protocol on.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace husk::guestcomm {

/// The latest time that either side may tell: in the year 2255. Sums and differences of two times do not overflow.
inline constexpr std::int64_t max_wall_clock_us = std::int64_t{1} << 53;

/// The guest's CLOCK_REALTIME, microseconds since 1970.
struct GuestClock {
  std::int64_t now_us = 0;
  bool operator==(const GuestClock&) const = default;
};

struct ReadClock {
  static constexpr std::string_view method = "read_clock";
  using Result = GuestClock;
};

/// How far the guest's clock is ahead of the host's (negative: behind), and by how much that may be wrong.
struct ClockDifference {
  std::int64_t ahead_us = 0, uncertainty_us = 0;
  bool operator==(const ClockDifference&) const = default;
};

enum class ClockChange {
  none,  ///< nothing is done
  slew,  ///< the clock runs a little slower or faster until it is right
  step   ///< the clock is set
};

/// What the agent did. Slewing goes on after the answer.
struct ClockCorrection {
  ClockChange change = ClockChange::none;
  bool operator==(const ClockCorrection&) const = default;
};

/// The agent decides how. A difference, not a time: it stays right if the request waits somewhere.
struct CorrectClock {
  static constexpr std::string_view method = "correct_clock";
  using Result = ClockCorrection;
  ClockDifference difference;
};

void to_json(nlohmann::json& json, const GuestClock& v);
void from_json(const nlohmann::json& json, GuestClock& v);
void to_json(nlohmann::json& json, const ReadClock& v);
void from_json(const nlohmann::json& json, ReadClock& v);
void to_json(nlohmann::json& json, const ClockCorrection& v);
void from_json(const nlohmann::json& json, ClockCorrection& v);
void to_json(nlohmann::json& json, const CorrectClock& v);
void from_json(const nlohmann::json& json, CorrectClock& v);

}  // namespace husk::guestcomm
