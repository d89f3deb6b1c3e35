// SPDX-License-Identifier: Apache-2.0
#include "lib/base/directory_lock.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "lib/base/cancellation.hpp"
#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"

namespace husk {
namespace {

constexpr std::chrono::milliseconds look_again{10};

/// Throws when cancelled.
void rest() {
  pollfd polled{cancellation_fd(), POLLIN, 0};
  ::poll(&polled, 1, static_cast<int>(look_again.count()));
  throw_if_cancelled();
}

UniqueFd open_directory(const std::filesystem::path& directory) {
  return UniqueFd{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
}

bool is_still(const std::filesystem::path& directory, int fd) {
  struct stat held {
  }, named{};
  check_sys(::fstat(fd, &held), "stat " + directory.string());
  return ::lstat(directory.c_str(), &named) == 0 && named.st_ino == held.st_ino &&
         named.st_dev == held.st_dev;
}

/// The table's device numbers are not those of stat(2) on every file system (btrfs), so it is
/// looked whether the process has the directory itself.
bool has_open(pid_t pid, const struct stat& wanted) {
  std::error_code gone;
  const std::string descriptors = "/proc/" + std::to_string(pid) + "/fd";
  for (const auto& entry : std::filesystem::directory_iterator(descriptors, gone)) {
    struct stat status {};
    if (::stat(entry.path().c_str(), &status) == 0 && status.st_ino == wanted.st_ino &&
        status.st_dev == wanted.st_dev)
      return true;
  }
  return false;
}

/// Whether it could be locked before the deadline.
bool flock_before(int fd, const std::filesystem::path& directory, const Deadline& deadline) {
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) throw_errno("lock " + directory.string());
    if (deadline.passed()) return false;
    rest();
  }
  return true;
}

/// Empty: another process held it all the time. No descriptor: there is no such directory.
std::optional<UniqueFd> lock_directory(const std::filesystem::path& directory,
                                       const Deadline& deadline) {
  for (;;) {
    UniqueFd fd = open_directory(directory);
    if (!fd && errno == ENOENT) return UniqueFd();
    check_sys(fd.get(), "open " + directory.string());
    if (!flock_before(fd.get(), directory, deadline)) return std::nullopt;
    if (is_still(directory, fd.get())) return fd;
  }
}

}  // namespace

std::optional<DirectoryLock> DirectoryLock::lock(const std::filesystem::path& directory,
                                                 std::chrono::milliseconds patience,
                                                 const std::string& subject) {
  std::optional<UniqueFd> held = lock_directory(directory, Deadline(patience));
  if (!held) throw Error(Errc::timed_out, subject + " is locked by another command");
  if (!*held) return std::nullopt;
  return DirectoryLock(std::move(*held));
}

std::optional<DirectoryLock> DirectoryLock::try_lock(const std::filesystem::path& directory,
                                                     std::chrono::milliseconds patience) {
  std::optional<UniqueFd> held = lock_directory(directory, Deadline(patience));
  if (!held || !*held) return std::nullopt;
  return DirectoryLock(std::move(*held));
}

bool is_locked(const std::filesystem::path& directory) {
  const UniqueFd fd = open_directory(directory);
  return fd && ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

std::optional<ProcessIdentity> find_lock_holder(const std::filesystem::path& directory) {
  struct stat status {};
  if (::lstat(directory.c_str(), &status) != 0) return std::nullopt;
  const std::string inode = ":" + std::to_string(status.st_ino);
  // proc_locks(5): "1: FLOCK  ADVISORY  WRITE 590 00:1f:1234 0 EOF"
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream fields(line);
    std::string number, kind, mode, access, file;
    pid_t pid = 0;
    fields >> number >> kind >> mode >> access >> pid >> file;
    if (kind == "FLOCK" && file.ends_with(inode) && has_open(pid, status))
      return identify_process(pid);
  }
  return std::nullopt;
}

}  // namespace husk
