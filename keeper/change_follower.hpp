// SPDX-License-Identifier: Apache-2.0
// Has a VM's keeper do something after each change that it is told of.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "keeper/duties.hpp"
#include "keeper/worker.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::keeper {

class ChangeFollower {
 public:
  /// Changes come in crowds: an engine that wires a container makes a dozen.
  static constexpr std::chrono::milliseconds quiet{100};

  /// changes: see handoff::KeptProcesses; empty: there is nothing to follow.
  ChangeFollower(UniqueFd changes, OnChange on_change)
      : changes_(std::move(changes)), on_change_(std::move(on_change)) {}

  void add_to(std::vector<int>& watched) const;  ///< what to wait for
  std::chrono::milliseconds patience() const;    ///< how long at most; negative: no limit
  void handle();                                 ///< once something is ready, or time is up

 private:
  UniqueFd changes_;
  OnChange on_change_;
  std::optional<std::chrono::steady_clock::time_point> due_;
  Worker worker_;
};

}  // namespace husk::keeper
