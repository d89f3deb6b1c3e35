// SPDX-License-Identifier: Apache-2.0
// A directory as the lock of what is in it: nothing more to clean up, and gone with the directory.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "lib/base/process.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk {

/// Held until destruction. Another process may remove the directory and make a new one of that name
/// while we wait for the lock of the old one; so after locking it is looked whether it still is the
/// directory of that name.
class DirectoryLock {
 public:
  /// Waits at most for `patience`. Empty: the directory does not exist, or was removed meanwhile.
  /// Throws timed_out "<subject> is locked by another command" where another process held the lock
  /// all the time; system; and when cancelled.
  static std::optional<DirectoryLock> lock(const std::filesystem::path& directory,
                                           std::chrono::milliseconds patience,
                                           const std::string& subject);
  /// As lock(). Empty also where another process held the lock all the time.
  static std::optional<DirectoryLock> try_lock(const std::filesystem::path& directory,
                                               std::chrono::milliseconds patience);

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
