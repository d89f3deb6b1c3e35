// SPDX-License-Identifier: Apache-2.0
// What the agent does about a difference. That it does it is in vm_clock_test.cpp.
#include "agent/clock/guest_clock.hpp"

#include <catch2/catch_test_macros.hpp>

#include "agent/clock/heard_clock.hpp"

using namespace husk::agent;
using husk::guestcomm::ClockChange;
using husk::guestcomm::max_wall_clock_us;

TEST_CASE("guest clock: a small difference is slewed, a large one stepped", "[agent]") {
  CHECK(plan_clock_change({0, 0}) == ClockChange::none);
  for (const std::int64_t sign : {1, -1}) {
    CAPTURE(sign);
    CHECK(plan_clock_change({sign * 1, 0}) == ClockChange::slew);
    CHECK(plan_clock_change({sign * 99'999, 0}) == ClockChange::slew);
    CHECK(plan_clock_change({sign * 100'000, 0}) == ClockChange::step);
    CHECK(plan_clock_change({sign * max_wall_clock_us, 0}) == ClockChange::step);
  }
}

TEST_CASE("guest clock: a difference that is not certain is neither slewed nor stepped",
          "[agent]") {
  CHECK(plan_clock_change({500, 500}) == ClockChange::none);
  CHECK(plan_clock_change({-501, 500}) == ClockChange::slew);
  CHECK(plan_clock_change({300'000, 300'000}) == ClockChange::none);
  CHECK(plan_clock_change({-300'000, 250'000}) == ClockChange::slew);
  CHECK(plan_clock_change({-300'000, 200'000}) == ClockChange::step);
  CHECK(plan_clock_change({max_wall_clock_us, max_wall_clock_us}) == ClockChange::none);
}

TEST_CASE("guest clock: nothing is done where nothing is planned", "[agent]") {
  CHECK_NOTHROW(correct_clock(ClockChange::none, max_wall_clock_us));
}

TEST_CASE("guest clock: the first time that is heard is taken, later ones if they are ahead",
          "[agent]") {
  for (const std::int64_t ahead : {std::int64_t{-1}, std::int64_t{1}, max_wall_clock_us})
    CHECK(plan_heard_change(ahead, false, false) == ClockChange::step);
  CHECK(plan_heard_change(-1, true, false) == ClockChange::step);
  CHECK(plan_heard_change(0, true, false) == ClockChange::none);
  // That one was long on its way.
  CHECK(plan_heard_change(max_wall_clock_us, true, false) == ClockChange::none);
}

TEST_CASE("guest clock: what is heard steps no clock in use by little", "[agent]") {
  CHECK(plan_heard_change(-99'999, true, true) == ClockChange::none);
  CHECK(plan_heard_change(-100'000, true, true) == ClockChange::step);
  CHECK(plan_heard_change(max_wall_clock_us, true, true) == ClockChange::none);
}
