// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/clock.hpp"

#include <array>

#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {
namespace {

using nlohmann::json;

/// In the order of ClockChange.
constexpr std::array<std::string_view, 3> change_names{"none", "slew", "step"};

}  // namespace

void to_json(json& j, const GuestClock& v) { j = json{{"now_us", v.now_us}}; }
void from_json(const json& j, GuestClock& v) {
  v.now_us = get_int64_within(j, "now_us", 0, max_wall_clock_us);
}

void to_json(json& j, const ReadClock&) { j = json::object(); }
void from_json(const json&, ReadClock&) {}

void to_json(json& j, const ClockCorrection& v) {
  j = json{{"change", change_names.at(static_cast<std::size_t>(v.change))}};
}
void from_json(const json& j, ClockCorrection& v) {
  const std::string name = get_string(j, "change");
  for (std::size_t i = 0; i < change_names.size(); ++i) {
    if (name != change_names.at(i)) continue;
    v.change = static_cast<ClockChange>(i);
    return;
  }
  refuse("change is none of none, slew, step");
}

void to_json(json& j, const CorrectClock& v) {
  j = json{{"ahead_us", v.difference.ahead_us}, {"uncertainty_us", v.difference.uncertainty_us}};
}
void from_json(const json& j, CorrectClock& v) {
  v.difference.ahead_us = get_int64_within(j, "ahead_us", -max_wall_clock_us, max_wall_clock_us);
  v.difference.uncertainty_us = get_int64_within(j, "uncertainty_us", 0, max_wall_clock_us);
}

}  // namespace husk::guestcomm
