// SPDX-License-Identifier: Apache-2.0
// What a process that ended is said to have ended with.
#pragma once

#include <sys/wait.h>

namespace husk {

/// From a status of wait(2), as shells and runc have it: the exit code, or 128 + the signal that
/// ended the process.
inline int exit_status(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

}  // namespace husk
