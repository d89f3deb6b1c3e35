// SPDX-License-Identifier: Apache-2.0
// The guest's ends of AF_VSOCK.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "agent/loop/event_loop.hpp"
#include "agent/request/strangers.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::agent {

/// Tells who could have made a connection; empty for a peer that is not the host. With `privileged_ports` (the host's kernel is the vsock
/// device and lets every user connect) a port below 1024 shows root, to whom alone the kernel gives these.
std::optional<Caller> recognise(std::uint32_t cid, std::uint32_t port,
                                bool privileged_ports) noexcept;

/// Listens from construction on and hands every connection of the host to `on_accept`,
/// non-blocking. Other connections (a container can connect to its own CID) are
/// closed at once. While there is no room for root, whoever comes waits in the kernel's queue: many callers
/// at once are slower, not refused.
class VsockListener {
 public:
  struct Handlers {
    std::function<bool()> has_room;
    std::function<void(UniqueFd, Caller)> on_accept;
  };

  VsockListener(EventLoop& loop, std::uint32_t port, bool privileged_ports, Handlers handlers);
  VsockListener(const VsockListener&) = delete;
  VsockListener& operator=(const VsockListener&) = delete;
  ~VsockListener();

 private:
  void watch();
  void rest();
  void accept_some();
  bool accept_one();

  EventLoop& loop_;
  UniqueFd socket_;
  bool privileged_ports_;
  Handlers handlers_;
  EventLoop::TimerId rest_timer_;
  EventLoop::Watch watch_;
};

/// Tells the host that this guest listens. Tries again for `patience` if the host does not take the connection;
/// throws system then.
void announce(std::uint32_t port, std::chrono::seconds patience);

}  // namespace husk::agent
