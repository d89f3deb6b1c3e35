// SPDX-License-Identifier: Apache-2.0
#include "keeper/console_log.hpp"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <vector>

#include "lib/base/capabilities.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"

namespace husk::keeper {
namespace {

/// Appends to a file in bounds.
class BoundedFile {
 public:
  explicit BoundedFile(int fd) : fd_(fd) {
    struct stat info {};
    check_sys(::fstat(fd, &info), "the console's log");
    size_ = static_cast<std::size_t>(info.st_size);
  }

  void append(const char* bytes, std::size_t count) {
    if (size_ + count > max_console_log_bytes) drop_older_half();
    const ssize_t written = ::pwrite(fd_, bytes, count, static_cast<off_t>(size_));
    if (written > 0) size_ += static_cast<std::size_t>(written);  // a full disk loses the rest
  }

 private:
  void drop_older_half() {
    std::vector<char> half(max_console_log_bytes / 2);
    const std::size_t kept = std::min(half.size(), size_);
    const ssize_t got = ::pread(fd_, half.data(), kept, static_cast<off_t>(size_ - kept));
    size_ = 0;
    if (::ftruncate(fd_, 0) == 0 && got > 0) append(half.data(), static_cast<std::size_t>(got));
  }

  int fd_;
  std::size_t size_ = 0;
};

[[noreturn]] void write_log(int fifo, int file, pid_t keeper) {
  close_other_descriptors({fifo, file});
  drop_capabilities();
  check_sys(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no-new-privileges");
  check_sys(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "bind the console's log to the keeper");
  if (::getppid() != keeper) ::_exit(1);
  ::prctl(PR_SET_NAME, "husk-console", 0, 0, 0);
  BoundedFile log(file);
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = ::read(fifo, buffer.data(), buffer.size());
    if (count > 0) log.append(buffer.data(), static_cast<std::size_t>(count));
    if (count < 0 && errno != EINTR) ::_exit(1);
  }
}

}  // namespace

ConsoleLog::ConsoleLog(UniqueFd fifo, UniqueFd file) {
  const pid_t self = ::getpid();
  pid_ = check_sys(::fork(), "fork");
  if (pid_ != 0) return;
  try {
    write_log(fifo.get(), file.get(), self);
  } catch (const Error&) {
    ::_exit(1);
  }
}

ConsoleLog::~ConsoleLog() {
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace husk::keeper
