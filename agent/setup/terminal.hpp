// SPDX-License-Identifier: Apache-2.0
// The pseudo-terminal of a container's process. In the child.
#pragma once

#include <sys/types.h>

#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/protocol/stdio.hpp"

namespace husk::agent {

/// Makes one in the container's own devpts (root_fd: the container's root), the controlling
/// terminal of this session, which must have none, and its standard streams. `uid` owns it.
/// Returns the master.
UniqueFd apply_terminal(int root_fd, guestcomm::WindowSize size, uid_t uid);

/// Shows the terminal on standard input as /dev/console, as every container with one has it
/// (config-linux.md "Default Devices").
void apply_console(int root_fd);

/// Throws system.
void set_window_size(int terminal, guestcomm::WindowSize size);

}  // namespace husk::agent
