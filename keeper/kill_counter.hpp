// SPDX-License-Identifier: Apache-2.0
// Has kills for want of memory counted, of which shims tell a VM's keeper.
#pragma once

#include <sys/types.h>
#include <sys/un.h>

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "keeper/duties.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::keeper {

class KillCounter {
 public:
  /// A guest may tell of kills without end: so many wait, and each has the host's kernel at work.
  static constexpr std::size_t max_waiting = 64;
  static constexpr std::chrono::milliseconds interval{200};
  static constexpr std::size_t max_id_bytes = 1024;

  /// kills: see handoff::KeptProcesses; empty: nobody tells of kills.
  KillCounter(UniqueFd kills, OnKill on_kill)
      : kills_(std::move(kills)), on_kill_(std::move(on_kill)) {}
  KillCounter(const KillCounter&) = delete;
  KillCounter& operator=(const KillCounter&) = delete;
  ~KillCounter();  ///< does not wait for a child that is at work

  void add_to(std::vector<int>& watched) const;  ///< what to wait for
  std::chrono::milliseconds patience() const;    ///< how long at most; negative: no limit
  void handle();                                 ///< once something is ready, or time is up

 private:
  struct Kill {
    std::string container;
    sockaddr_un shim = {};
    socklen_t shim_size = 0;
  };
  void receive();
  void begin_work();
  void finish_work();

  UniqueFd kills_;
  OnKill on_kill_;
  std::deque<Kill> waiting_;  ///< the first one is at work, if there is a worker
  std::optional<std::chrono::steady_clock::time_point> last_;
  pid_t worker_ = -1;
  UniqueFd worker_pidfd_;
};

}  // namespace husk::keeper
