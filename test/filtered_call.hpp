// SPDX-License-Identifier: Apache-2.0
// What a seccomp filter of husk's answers to system calls, in a real process.
#pragma once

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace husk::test {

struct SystemCall {
  const char* name;
  long number;
  std::array<long, 5> arguments = {};
};

/// 0 if the call succeeded. A process that it makes ends at once.
inline int error_of(const SystemCall& call) {
  const auto& a = call.arguments;
  const pid_t self = ::getpid();
  const long result = ::syscall(call.number, a[0], a[1], a[2], a[3], a[4]);
  const int error = errno;
  if (result == 0 && ::getpid() != self) ::_exit(0);
  return result >= 0 ? 0 : error;
}

constexpr int filter_not_loaded = 200;

/// The exit status of a process that calls `load_filter`, then ends with what `doing` returns.
template <typename Load, typename F>
int filtered(Load&& load_filter, F&& doing) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(filter_not_loaded);
      load_filter();
    } catch (...) {
      ::_exit(filter_not_loaded);
    }
    ::_exit(doing());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace husk::test
