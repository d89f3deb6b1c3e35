// SPDX-License-Identifier: Apache-2.0
#include "keeper/clock_follower.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <limits>

namespace husk::keeper {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A timer that never expires. The kernel cancels it when the clock is set, and when the host wakes from sleep: only then it
/// is readable (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
UniqueFd watch_clock() {
  UniqueFd timer(::timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC));
  const itimerspec never{.it_interval = {},
                         .it_value = {.tv_sec = std::numeric_limits<time_t>::max(), .tv_nsec = 0}};
  const int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
  if (timer && ::timerfd_settime(timer.get(), flags, &never, nullptr) != 0) timer.reset();
  return timer;
}

bool was_cancelled(const UniqueFd& timer) {
  std::uint64_t expirations = 0;
  return timer && ::read(timer.get(), &expirations, sizeof expirations) < 0 && errno == ECANCELED;
}

}  // namespace

seconds ClockFollower::interval_after(unsigned failures) {
  if (failures == 0) return usual;
  seconds interval = after_failure;
  for (unsigned i = 1; i < failures && interval < usual; ++i) interval *= 2;
  return std::min(interval, usual);
}

ClockFollower::ClockFollower(OnClock on_clock) : on_clock_(std::move(on_clock)) {
  if (on_clock_) set_ = watch_clock();
}

void ClockFollower::add_to(std::vector<int>& watched) const {
  if (set_) watched.push_back(set_.get());
  worker_.add_to(watched);
}

milliseconds ClockFollower::patience() const {
  // Without a pidfd nothing tells of the worker's end.
  if (!on_clock_) return milliseconds{-1};
  if (worker_.is_at_work()) return usual;
  return std::max(std::chrono::ceil<milliseconds>(due_ - SteadyClock::now()), milliseconds{0});
}

void ClockFollower::handle() {
  if (!on_clock_) return;
  if (const auto succeeded = worker_.finish()) note_end(*succeeded);
  // Also while a worker is at work: it may have read the clock already.
  if (was_cancelled(set_)) due_ = SteadyClock::now();
  if (worker_.is_at_work() || SteadyClock::now() < due_) return;
  due_ = SteadyClock::time_point::max();
  if (!worker_.begin(on_clock_)) note_end(false);
}

/// A time that is due already stays: the clock was set while the worker was at work.
void ClockFollower::note_end(bool succeeded) {
  failures_ = succeeded ? 0 : failures_ + 1;
  due_ = std::min(due_, SteadyClock::now() + interval_after(failures_));
}

}  // namespace husk::keeper
