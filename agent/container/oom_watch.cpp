// SPDX-License-Identifier: Apache-2.0
#include "agent/container/oom_watch.hpp"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>

#include "agent/container/statistics.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {

OomWatch::OomWatch(EventLoop& loop, const std::filesystem::path& cgroup,
                   std::function<void()> on_kill)
    : events_(cgroup / "memory.events"),
      on_kill_(std::move(on_kill)),
      seen_(count()),
      changes_(check_sys(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK), "inotify_init1")) {
  check_sys(::inotify_add_watch(changes_.get(), events_.c_str(), IN_MODIFY),
            "watch " + events_.string());
  watch_ = loop.watch(changes_.get(), EPOLLIN, [this](std::uint32_t) {
    std::array<char, 4096> ignored{};
    while (::read(changes_.get(), ignored.data(), ignored.size()) > 0) continue;
    look();
  });
}

std::uint64_t OomWatch::count() const {
  constexpr std::size_t max_bytes = 4096;
  const guestcomm::Counters counters = parse_counters(read_file(events_, max_bytes));
  const auto found = counters.find("oom_kill");
  return found == counters.end() ? 0 : found->second;
}

void OomWatch::look() {
  const std::uint64_t now = count();
  if (now <= seen_) return;
  seen_ = now;
  on_kill_();
}

}  // namespace husk::agent
