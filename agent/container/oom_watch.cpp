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
namespace {

constexpr const char* events_file = "memory.events";

}  // namespace

std::uint64_t count_oom_kills(const std::filesystem::path& cgroup) {
  constexpr std::size_t max_bytes = 4096;
  const guestcomm::Counters counters = parse_counters(read_file(cgroup / events_file, max_bytes));
  const auto found = counters.find("oom_kill");
  return found == counters.end() ? 0 : found->second;
}

OomWatch::OomWatch(EventLoop& loop, const std::filesystem::path& cgroup,
                   std::function<void()> on_kill)
    : cgroup_(cgroup),
      on_kill_(std::move(on_kill)),
      seen_(count_oom_kills(cgroup)),
      changes_(check_sys(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK), "inotify_init1")) {
  const std::filesystem::path events = cgroup / events_file;
  check_sys(::inotify_add_watch(changes_.get(), events.c_str(), IN_MODIFY),
            "watch " + events.string());
  watch_ = loop.watch(changes_.get(), EPOLLIN, [this](std::uint32_t) {
    std::array<char, 4096> ignored{};
    while (::read(changes_.get(), ignored.data(), ignored.size()) > 0) continue;
    look();
  });
}

void OomWatch::look() {
  const std::uint64_t now = count_oom_kills(cgroup_);
  if (now <= seen_) return;
  seen_ = now;
  on_kill_();
}

}  // namespace husk::agent
