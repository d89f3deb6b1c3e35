// SPDX-License-Identifier: Apache-2.0
#include "agent/loop/event_loop.hpp"

#include <sys/epoll.h>

#include <algorithm>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"

namespace husk::agent {

using std::chrono::milliseconds;

namespace {

/// The agent's catch for what belongs to no request: whoever threw is not all there is to serve.
bool survives(const std::function<void()>& callback) {
  try {
    callback();
    return true;
  } catch (const std::exception& error) {
    log(LogLevel::error, std::string("event loop: ") + error.what());
    return false;
  }
}

}  // namespace

EventLoop::EventLoop() : epoll_(check_sys(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {}

void EventLoop::control(int operation, const Watched& watched) {
  struct epoll_event event {};
  event.events = watched.events;
  event.data.fd = watched.fd;
  check_sys(::epoll_ctl(epoll_.get(), operation, watched.fd, &event), "epoll_ctl");
}

EventLoop::Watch EventLoop::watch(int fd, std::uint32_t events, OnReady on_ready,
                                  OnFailure on_failure) {
  auto watched =
      std::make_shared<Watched>(Watched{fd, events, std::move(on_ready), std::move(on_failure)});
  const auto found = watched_.find(fd);
  const bool known = found != watched_.end() && !found->second->rests;
  control(known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, *watched);
  watched_[fd] = watched;
  return {*this, std::move(watched)};
}

/// False for one that was replaced: what is watched under its number now is another's.
bool EventLoop::is_current(const WatchedPtr& watched) const {
  const auto found = watched_.find(watched->fd);
  return found != watched_.end() && found->second == watched;
}

void EventLoop::forget(const WatchedPtr& watched) noexcept {
  if (!is_current(watched)) return;
  watched_.erase(watched->fd);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watched->fd, nullptr);
}

EventLoop::TimerId EventLoop::after(milliseconds delay, std::function<void()> on_timeout) {
  const TimerId timer{Clock::now() + delay, next_timer_++};
  timers_.emplace(timer, std::move(on_timeout));
  return timer;
}

void EventLoop::cancel(const TimerId& timer) noexcept { timers_.erase(timer); }

int EventLoop::wait_milliseconds(milliseconds patience) const {
  if (timers_.empty()) return static_cast<int>(patience.count());
  // Rounded up, or the loop would spin through the last fraction of a millisecond.
  const auto until = std::chrono::ceil<milliseconds>(timers_.begin()->first.first - Clock::now());
  const auto bounded = std::max(until, milliseconds{0});
  return static_cast<int>(patience.count() < 0 ? bounded.count()
                                               : std::min(bounded, patience).count());
}

void EventLoop::run_once(milliseconds patience) {
  struct epoll_event event {};
  // Takes one event at a time: a handler may close descriptors whose numbers come back at once, and an
  // event fetched earlier would then reach the wrong owner. The kernel's ready list goes round, so
  // this is fair.
  const int count = ::epoll_wait(epoll_.get(), &event, 1, wait_milliseconds(patience));
  if (count < 0 && errno != EINTR) throw_errno("epoll_wait");
  if (count == 1) handle_event(event.data.fd, event.events);
  run_timers();
}

void EventLoop::handle_event(int fd, std::uint32_t events) {
  const auto found = watched_.find(fd);
  if (found == watched_.end()) return;
  const WatchedPtr watched = found->second;  // it may forget itself
  if (survives([&] { watched->on_ready(events); })) return;
  if (is_current(watched)) rest(watched);
  if (is_current(watched) && watched->on_failure) survives(watched->on_failure);
}

void EventLoop::rest(const WatchedPtr& watched) {
  after(rest_after_failure, [this, watched] { resume(watched); });
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watched->fd, nullptr);
  watched->rests = true;
}

void EventLoop::resume(const WatchedPtr& watched) {
  if (!is_current(watched)) return;
  if (!survives([&] { control(EPOLL_CTL_ADD, *watched); })) return rest(watched);
  watched->rests = false;
}

void EventLoop::run_timers() {
  const Clock::time_point now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    const std::function<void()> on_timeout = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    survives(on_timeout);
  }
}

}  // namespace husk::agent
