// SPDX-License-Identifier: Apache-2.0
// Memory that the host plugs while the guest runs, and processors that the guest has beside those it uses (docs/architecture.md, "The size of a VM").
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "agent/loop/event_loop.hpp"
#include "agent/request/request.hpp"
#include "agent/setup/guest_reserve.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"

namespace husk::agent {

/// Where the kernel tells of them, for tests as well.
struct GuestFiles {
  std::filesystem::path proc = "/proc", cpus = "/sys/devices/system/cpu";
};

class GuestResizer {
 public:
  /// The memory that the guest has now is what it booted with. `cgroup`: of all containers. `fixed`: the parameters,
  /// below /proc/sys, that do not follow the memory, because the host has said what they are.
  GuestResizer(EventLoop& loop, std::filesystem::path cgroup, std::set<std::string> fixed,
               GuestFiles files = {});
  GuestResizer(const GuestResizer&) = delete;
  GuestResizer& operator=(const GuestResizer&) = delete;

  /// Answers as guestcomm::ResizeGuest says. A later request takes the place of one that waits, which is answered first.
  void resize(const guestcomm::GuestSize& wanted, const Reply& reply);

 private:
  struct Waiting {
    guestcomm::GuestSize wanted;
    Reply reply;  ///< empty: was answered
    guestcomm::GuestSize seen;
    EventLoop::Clock::time_point since;  ///< nothing has changed
  };

  std::uint64_t plugged_bytes() const;
  /// Switches processors on or off, too.
  guestcomm::GuestSize look(unsigned wanted_cpus) const;
  void look_again();
  void answer();
  /// Limits the containers to their share of the memory at boot and so much more.
  void apply_limits_for(std::uint64_t plugged) const;
  void scale(const char* parameter, std::uint64_t at_boot, std::uint64_t memory_now) const;

  EventLoop& loop_;
  std::filesystem::path cgroup_parent_;
  std::set<std::string> fixed_;
  GuestFiles files_;
  std::optional<GuestCapacity> at_boot_;
  std::uint64_t threads_max_ = 0, files_max_ = 0;  ///< that the kernel chose by its memory at boot
  std::optional<Waiting> waiting_;
};

}  // namespace husk::agent
