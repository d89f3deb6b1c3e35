// SPDX-License-Identifier: Apache-2.0
// The clock of a real guest. The cases share the guest with those of the other files.
#include <cstdlib>

#include "lib/base/time.hpp"
#include "lib/guestcomm/link/clock_follow.hpp"
#include "lib/guestcomm/protocol/clock.hpp"
#include "test/agent/vm_container.hpp"

using namespace husk;
using namespace husk::guestcomm;
using namespace husk::test;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t hour_us = 3'600'000'000;

FollowedClock follow() { return correct_guest_clock(client(), 20s).value(); }

/// A difference of 10 ms, or what a busy host's long round trips leave in doubt.
bool is_right(const ClockDifference& difference) {
  return std::abs(difference.ahead_us) <= 10'000 + difference.uncertainty_us;
}

}  // namespace

TEST_CASE("agent: hello sets the guest's clock, and a faster one makes it more exact", "[vm]") {
  VmGuest vm({"-rtc", "base=2001-02-03T04:05:06"});
  AgentClient first(vm.access(), 20s, ErrorWords::of_the_agent);
  const ClockDifference at_first = measure_guest_clock(first, 20s);
  CHECK(std::abs(at_first.ahead_us) < 5'000'000);  // a busy guest may read it late
  CHECK(at_first.ahead_us <= at_first.uncertainty_us);
  ClockDifference later;
  for (int i = 0; i < 3; ++i) {
    const AgentClient second(vm.access(), 20s, ErrorWords::of_the_agent);
    later = measure_guest_clock(first, 20s);
  }
  CHECK(later.ahead_us <= later.uncertainty_us);
  CHECK(later.ahead_us >= at_first.ahead_us - later.uncertainty_us - at_first.uncertainty_us);
  INFO("first " << at_first.ahead_us << " us, later " << later.ahead_us << " us, +- "
                << later.uncertainty_us);
  CHECK(std::abs(later.ahead_us) < 100'000);
}

TEST_CASE("agent: a clock that is wrong by an hour is stepped", "[vm]") {
  follow();
  for (const std::int64_t wrong_us : {hour_us, -hour_us}) {
    CAPTURE(wrong_us);
    CHECK(client().call(CorrectClock{{-wrong_us, 0}}, 20s).change == ClockChange::step);
    const FollowedClock found = follow();
    CHECK(std::abs(found.difference.ahead_us - wrong_us) < 60'000'000);
    CHECK(found.change == ClockChange::step);
    CHECK(is_right(follow().difference));
  }
}

TEST_CASE("agent: containers see the clock that the host has corrected", "[vm]") {
  const auto is_near = [](const std::string& date, std::int64_t ahead_us) {
    return std::abs(std::stoll(date) * 1'000'000 - ahead_us - wall_clock_us()) < 60'000'000;
  };
  follow();
  CHECK(is_near(shell("date +%s").out, 0));
  client().call(CorrectClock{{-hour_us, 0}}, 20s);
  CHECK(is_near(shell("date +%s").out, hour_us));
  // Each connection of `shell` tells the time, which a clock that is behind is set by.
  client().call(CorrectClock{{2 * hour_us, 0}}, 20s);
  CHECK(is_near(shell("date +%s").out, 0));
  CHECK(is_right(follow().difference));
}

TEST_CASE("agent: a clock that is wrong by little is slewed", "[vm]") {
  follow();
  CHECK(client().call(CorrectClock{{-99'000, 0}}, 20s).change == ClockChange::slew);
  const std::int64_t before = follow().difference.ahead_us;  // ends that slew, or turns it
  CHECK(std::abs(before) < 99'000);
}

TEST_CASE("agent: a step that the kernel refuses is an error, and changes nothing", "[vm]") {
  follow();
  CHECK_THROWS_AS(client().call(CorrectClock{{max_wall_clock_us, 0}}, 20s), Error);  // before 1970
  CHECK(is_right(follow().difference));
}
