// SPDX-License-Identifier: Apache-2.0
// The exit status that is told of a process that ended.
#pragma once

#include <sys/wait.h>

namespace husk {

/// From a status of wait(2), as shells and runc have it: the exit code, or 128 + the signal that
/// ended the process.
inline int exit_status(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

}  // namespace husk
