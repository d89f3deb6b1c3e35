// SPDX-License-Identifier: Apache-2.0
#include "agent/clock/guest_clock.hpp"

#include <sys/timex.h>

#include <cstdlib>
#include <ctime>

#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

constexpr std::int64_t second_us = 1'000'000;

void adjust(timex change, const char* doing) {
  // The result is a state of the clock, TIME_ERROR as long as no NTP daemon says otherwise.
  check_sys(::adjtimex(&change), doing);
}

/// ADJ_OFFSET_SINGLESHOT: the kernel runs the clock 500 ppm slower or faster until the difference is gone. The kernel's PLL
/// (ADJ_OFFSET) is made for a peer that is asked all the time, goes on for hours, and would learn a wrong frequency from
/// a host that was stepped. A frequency (ADJ_FREQUENCY) would stay if the host does not come again.
void slew(std::int64_t by_us) {
  timex change{};
  change.modes = ADJ_OFFSET_SINGLESHOT;
  change.offset = by_us;
  adjust(change, "slew the clock");
}

/// Relative, so that no time passes between reading and setting the clock. A slew that is not over would go on.
void step_clock(std::int64_t by_us) {
  slew(0);
  timex change{};
  change.modes = ADJ_SETOFFSET;
  change.time.tv_sec = by_us / second_us;
  change.time.tv_usec = by_us % second_us;
  if (change.time.tv_usec < 0) {  // the kernel wants 0 to 999999
    change.time.tv_usec += second_us;
    --change.time.tv_sec;
  }
  adjust(change, "step the clock");
}

}  // namespace

guestcomm::ClockChange plan_clock_change(const guestcomm::ClockDifference& difference) {
  const std::int64_t size = std::abs(difference.ahead_us);
  if (size <= difference.uncertainty_us) return guestcomm::ClockChange::none;
  return size - difference.uncertainty_us >= step_threshold_us ? guestcomm::ClockChange::step
                                                               : guestcomm::ClockChange::slew;
}

void set_clock(std::int64_t now_us) {
  const timespec now{.tv_sec = now_us / second_us, .tv_nsec = now_us % second_us * 1000};
  check_sys(::clock_settime(CLOCK_REALTIME, &now), "set the clock");
}

void correct_clock(guestcomm::ClockChange change, std::int64_t ahead_us) {
  switch (change) {
    case guestcomm::ClockChange::none:
      return;
    case guestcomm::ClockChange::slew:
      return slew(-ahead_us);
    case guestcomm::ClockChange::step:
      return step_clock(-ahead_us);
  }
}

}  // namespace husk::agent
