// SPDX-License-Identifier: Apache-2.0
// Where a container says by sd_notify(3) that it is ready: a datagram socket of the agent's, which is
// bind-mounted over the caller's.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "agent/loop/event_loop.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::agent {

class NotifySocket {
 public:
  /// A container that says more is made to wait: the socket's own queue fills up.
  static constexpr std::chrono::milliseconds rest{20};

  /// Listens in a new file of `directory`, which every user may write to. Throws system.
  NotifySocket(EventLoop& loop, const std::filesystem::path& directory,
               std::function<void(const std::string&)> on_text);
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;
  ~NotifySocket();

  /// Takes what was said just before the end and waits yet, as much as a queue usually holds. A
  /// failure is only logged: the container ends all the same.
  void finish() noexcept;

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  static constexpr int max_last_words = 16;  ///< net.unix.max_dgram_qlen is 10

  void watch();
  void receive();
  bool take_one();  ///< false: none is there

  EventLoop& loop_;
  std::filesystem::path path_;
  std::function<void(const std::string&)> on_text_;
  UniqueFd socket_;
  EventLoop::Watch watch_;
  std::optional<EventLoop::TimerId> resting_;
};

}  // namespace husk::agent
