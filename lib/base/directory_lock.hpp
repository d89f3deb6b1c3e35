// SPDX-License-Identifier: Apache-2.0
// A directory as the lock of what is in it: nothing more to clean up, and gone with the directory.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>

#include "lib/base/process.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk {

/// Held until destruction. Another process may remove the directory and make a new one of that name
/// while we wait for the lock of the old one; so after locking it is looked whether it still is the
/// directory of that name.
class DirectoryLock {
 public:
  enum class Failure { gone, timed_out };

  /// Waits at most for `patience`. Empty: `failure` says whether the directory does not exist (any
  /// more), or somebody else held the lock all the time. Throws system, and when cancelled.
  static std::optional<DirectoryLock> acquire(const std::filesystem::path& directory,
                                              std::chrono::milliseconds patience, Failure& failure);

 private:
  explicit DirectoryLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

/// Whether somebody holds it right now.
bool is_locked(const std::filesystem::path& directory);

/// Who holds it right now (/proc/locks); empty if nobody, or one that this pid namespace does not
/// show.
std::optional<ProcessIdentity> find_lock_holder(const std::filesystem::path& directory);

}  // namespace husk
