// SPDX-License-Identifier: Apache-2.0
// A child of the agent for what may never return: a look at virtio-fs, whose server may wait for a
// disk or a network that is away, or at a container's memory, whose lock may be held by a thread that
// waits for the container's own FUSE server. The agent's loop, which serves all containers, does neither.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/loop/event_loop.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::agent {

class HelperProcess {
 public:
  /// Runs in the child, with the agent's rights and namespaces, and with no descriptor of the agent's but
  /// `said`, a pipe to it. What it throws ends the child.
  using Work = std::function<void(int said)>;
  /// Called from the loop, once. `said`: the bytes from the pipe, at most max_said_bytes of them.
  /// is_finished: the work was done in time, or the child ended; otherwise it was killed.
  using Done = std::function<void(const std::string& said, bool is_finished)>;

  static constexpr std::size_t max_said_bytes = 1u << 20;

  /// Makes the child, which waits for `begin`: a copy of the agent takes longer than most work. It is
  /// reaped with all others of the agent's. Throws system.
  HelperProcess(EventLoop& loop, const Work& work);
  HelperProcess(const HelperProcess&) = delete;
  HelperProcess& operator=(const HelperProcess&) = delete;
  /// Kills the child; `done` is not called any more.
  ~HelperProcess();

  /// Once. The work is to be done within `patience` from now on. Throws system.
  void begin(std::chrono::milliseconds patience, Done done);

  /// Starts a helper at once, which lives until `done` was called. Throws system.
  static void run(EventLoop& loop, std::chrono::milliseconds patience, const Work& work, Done done);

 private:
  void receive();
  void end(bool is_finished);

  EventLoop& loop_;
  Done done_;
  std::string said_;
  UniqueFd child_;  ///< a pidfd
  UniqueFd order_;  ///< a byte begins the work
  UniqueFd pipe_;
  EventLoop::Watch watch_;
  std::optional<EventLoop::TimerId> timer_;
};

}  // namespace husk::agent
