// SPDX-License-Identifier: Apache-2.0
// A child of the keeper that does one piece of work.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <vector>

#include "lib/base/unique_fd.hpp"

namespace husk::keeper {

class Worker {
 public:
  Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();  ///< does not wait for a child that is at work

  /// Does `work` in a child; the one before must have been finished. False: no process can be made now.
  bool begin(const std::function<void()>& work);
  bool is_at_work() const noexcept { return pid_ > 0; }
  void add_to(std::vector<int>& watched) const;  ///< what to wait for, for the child's end
  /// Returns once after the child's end whether `work` returned, or its program's exit status was 0.
  std::optional<bool> finish();

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

}  // namespace husk::keeper
