// SPDX-License-Identifier: Apache-2.0
// Has a guest's clock corrected every minute, and at once when the host's clock was set or the host slept.
#pragma once

#include <chrono>
#include <vector>

#include "keeper/duties.hpp"
#include "keeper/worker.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::keeper {

class ClockFollower {
 public:
  /// The guest was told the time as it came up. A short container is over before the first correction.
  static constexpr std::chrono::seconds first{15}, usual{60};
  /// After the first failure; then twice as long each time, up to the usual interval. A guest that was suspended is right
  /// soon after it goes on.
  static constexpr std::chrono::seconds after_failure{5};

  /// The time from one correction to the next after so many that failed, the last one included.
  static std::chrono::seconds interval_after(unsigned failures);

  /// Empty: nothing is done.
  explicit ClockFollower(OnClock on_clock);

  void add_to(std::vector<int>& watched) const;  ///< what to wait for
  std::chrono::milliseconds patience() const;    ///< how long at most; negative: no limit
  void handle();                                 ///< once something is ready, or time is up

 private:
  using SteadyClock = std::chrono::steady_clock;
  void note_end(bool succeeded);

  OnClock on_clock_;
  UniqueFd set_;  ///< readable after the host's clock was set; empty if the kernel had none to give
  SteadyClock::time_point due_ = SteadyClock::now() + first;
  unsigned failures_ = 0;
  Worker worker_;
};

}  // namespace husk::keeper
