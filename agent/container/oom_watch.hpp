// SPDX-License-Identifier: Apache-2.0
// Sees the kernel kill processes of a cgroup for want of memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "agent/loop/event_loop.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::agent {

/// How many processes of the cgroup the kernel has killed for want of memory. Throws system.
std::uint64_t count_oom_kills(const std::filesystem::path& cgroup);

class OomWatch {
 public:
  /// `on_kill` is called from the loop, once for all kills that one look sees. Throws system.
  OomWatch(EventLoop& loop, const std::filesystem::path& cgroup, std::function<void()> on_kill);

  /// Before the cgroup is removed: the kernel's own word of it may not have been read yet.
  void look();

 private:
  std::filesystem::path cgroup_;
  std::function<void()> on_kill_;
  std::uint64_t seen_;
  UniqueFd changes_;
  EventLoop::Watch watch_;
};

}  // namespace husk::agent
