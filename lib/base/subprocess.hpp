// SPDX-License-Identifier: Apache-2.0
// Running another program to its end (hooks, daemons, helpers). Boost.Process is behind it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace husk {

struct Subprocess {
  std::string program;                 ///< absolute path
  std::vector<std::string> arguments;  ///< without the program's name; see argv0
  std::optional<std::string> argv0;    ///< default: program
  /// "KEY=value"; empty optional: the caller's.
  std::optional<std::vector<std::string>> environment;
  std::string stdin_text;
  /// pidfd of a process in whose network, IPC and UTS namespaces it runs, or -1. Its mounts are those
  /// of ours then, in a mount namespace of its own: what it mounts itself goes with it.
  int namespaces_of = -1;
  /// The program is killed after this time (SIGKILL, its whole process group).
  std::optional<std::chrono::milliseconds> timeout;
};

struct SubprocessResult {
  int status = 0;      ///< exit code, or 128 + signal
  std::string output;  ///< stdout and stderr together, at most the last 16 KiB
};

/// Runs it with no descriptor of ours but its three streams. Returns when it exited and (or, for
/// programs that leave daemons behind which hold the pipe, at most 100 ms after). Throws system
/// when it cannot be started (which is so, too, if it cannot enter the namespaces), timed_out, and
/// when cancelled.
SubprocessResult run_subprocess(const Subprocess& subprocess);

}  // namespace husk
