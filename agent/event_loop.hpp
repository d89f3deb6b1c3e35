// SPDX-License-Identifier: Apache-2.0
// The agent's one thread: descriptors that became ready and timers that ran out.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "lib/base/unique_fd.hpp"

namespace husk::agent {

class EventLoop {
 public:
  using Clock = std::chrono::steady_clock;
  using OnReady = std::function<void(std::uint32_t events)>;
  using TimerId = std::pair<Clock::time_point, std::uint64_t>;

  EventLoop();
  /// Calls `on_ready` while `fd` shows any of `events` (EPOLLIN, ...; errors and hang-ups always).
  /// The descriptor stays the caller's, who calls forget() before closing it. Watching it again
  /// replaces what was there.
  void watch(int fd, std::uint32_t events, OnReady on_ready);
  void forget(int fd) noexcept;

  /// Calls `on_timeout` once. Cancelling a timer that has fired is fine.
  TimerId after(std::chrono::milliseconds delay, std::function<void()> on_timeout);
  void cancel(const TimerId& timer) noexcept;

  /// Waits for one event, at most for `patience` (negative: no limit), and handles it; then the
  /// timers due.
  void run_once(std::chrono::milliseconds patience = std::chrono::milliseconds{-1});

 private:
  int wait_milliseconds(std::chrono::milliseconds patience) const;
  void run_timers();

  UniqueFd epoll_;
  std::map<int, std::shared_ptr<OnReady>> watched_;
  std::map<TimerId, std::function<void()>> timers_;
  std::uint64_t next_timer_ = 0;
};

}  // namespace husk::agent
