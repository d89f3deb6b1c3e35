// SPDX-License-Identifier: Apache-2.0
// A command that stays until its shim has ended (run and exec without --detach).
#pragma once

#include <sys/types.h>

namespace husk::runtime {

/// Waits for a shim that is a child of this process, and passes on every signal that comes to husk
/// itself. Returns its exit status, or 128 + the signal that ended it.
int wait_for_shim(pid_t shim, int signal_fd);

}  // namespace husk::runtime
