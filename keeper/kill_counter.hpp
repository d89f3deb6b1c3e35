// SPDX-License-Identifier: Apache-2.0
// Has kills for want of memory counted, of which shims tell a VM's keeper.
#pragma once

#include <sys/types.h>
#include <sys/un.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "keeper/duties.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::keeper {

class KillCounter {
 public:
  /// A guest may tell of kills without end, and each has the host's kernel at work. So many wait. A container whose kill was
  /// counted has to wait for the next one: the first interval, then twice as long each time, up to the last. What it tells
  /// meanwhile is answered and not counted. It begins anew when it was quiet for the last interval.
  static constexpr std::size_t max_waiting = 64;
  static constexpr std::chrono::milliseconds first_interval{200}, last_interval{60000};
  static constexpr std::size_t max_paces = 256;
  static constexpr std::size_t max_id_bytes = 1024;

  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  /// kills: see handoff::KeptProcesses; empty: nobody tells of kills. now: for the intervals.
  KillCounter(UniqueFd kills, OnKill on_kill, Clock now = std::chrono::steady_clock::now)
      : kills_(std::move(kills)), on_kill_(std::move(on_kill)), now_(std::move(now)) {}
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
  struct Pace {
    std::chrono::steady_clock::time_point next = {};
    std::chrono::milliseconds interval{0};
  };
  void receive();
  void answer(const Kill& kill) const;
  bool is_due(const std::string& container);
  void begin_work();
  void finish_work();

  UniqueFd kills_;
  OnKill on_kill_;
  Clock now_;
  std::deque<Kill> waiting_;  ///< the first one is at work, if there is a worker
  std::map<std::string, Pace> paces_;
  pid_t worker_ = -1;
  UniqueFd worker_pidfd_;
};

}  // namespace husk::keeper
