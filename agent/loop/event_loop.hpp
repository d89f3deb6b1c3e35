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
  using OnFailure = std::function<void()>;
  using TimerId = std::pair<Clock::time_point, std::uint64_t>;

  /// How long a descriptor is left alone after its callback threw: one that throws for ever costs
  /// ten lines in the log per second, not the CPU.
  static constexpr std::chrono::milliseconds rest_after_failure{100};

  /// Being watched: ends with its owner. Declared after the UniqueFd it watches, so that it ends
  /// before the descriptor is closed: a child's copy would keep the kernel's entry alive.
  class Watch;

  EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  /// Calls `on_ready` while `fd` shows any of `events` (EPOLLIN, ...; errors and hang-ups always).
  /// The descriptor stays the caller's. Watching it again replaces what was there. When `on_ready`
  /// throws, that is logged, `on_failure` is called, where an owner can do without the descriptor,
  /// and if it is still watched then, it is again after a rest.
  [[nodiscard]] Watch watch(int fd, std::uint32_t events, OnReady on_ready,
                            OnFailure on_failure = nullptr);

  /// Calls `on_timeout` once; what it throws is logged. Cancelling a timer that has fired is fine.
  TimerId after(std::chrono::milliseconds delay, std::function<void()> on_timeout);
  void cancel(const TimerId& timer) noexcept;

  /// Waits for one event, at most for `patience` (negative: no limit), and handles it; then the
  /// timers due. Nothing that a callback throws gets out: this is the first process of the guest.
  void run_once(std::chrono::milliseconds patience = std::chrono::milliseconds{-1});

 private:
  struct Watched {
    int fd;
    std::uint32_t events;
    OnReady on_ready;
    OnFailure on_failure;
    bool rests = false;  ///< the kernel does not know it
  };
  using WatchedPtr = std::shared_ptr<Watched>;

  void control(int operation, const Watched& watched);
  bool is_current(const WatchedPtr& watched) const;
  void forget(const WatchedPtr& watched) noexcept;
  void handle_event(int fd, std::uint32_t events);
  void rest(const WatchedPtr& watched);
  void resume(const WatchedPtr& watched);
  int wait_milliseconds(std::chrono::milliseconds patience) const;
  void run_timers();

  UniqueFd epoll_;
  std::map<int, WatchedPtr> watched_;
  std::map<TimerId, std::function<void()>> timers_;
  std::uint64_t next_timer_ = 0;
};

class EventLoop::Watch {
 public:
  Watch() = default;
  Watch(Watch&& other) noexcept
      : loop_(other.loop_), watched_(std::exchange(other.watched_, nullptr)) {}
  Watch& operator=(Watch&& other) noexcept {
    std::swap(loop_, other.loop_);
    std::swap(watched_, other.watched_);
    other.reset();  // now, not when the other happens to end: its descriptor may be closed by then
    return *this;
  }
  ~Watch() { reset(); }

  void reset() noexcept {
    if (watched_) loop_->forget(std::exchange(watched_, nullptr));
  }

 private:
  friend class EventLoop;
  Watch(EventLoop& loop, WatchedPtr watched) : loop_(&loop), watched_(std::move(watched)) {}

  EventLoop* loop_ = nullptr;
  WatchedPtr watched_;
};

}  // namespace husk::agent
