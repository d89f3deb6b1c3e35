// SPDX-License-Identifier: Apache-2.0
// The kernel's modules in the initrd (rootfs-builder/initrd), in the order of when they are needed:
// each takes milliseconds of every start.
#pragma once

#include "agent/loop/event_loop.hpp"

namespace husk::agent {

/// Loads the modules by which the guest reaches its host and its files. Logs the ones that fail.
void load_first_modules();

/// The others, one in a turn of the loop, so that requests get in between: first those of network
/// cards, for which configure_network waits; after a second those that no start needs.
void load_other_modules(EventLoop& loop);

}  // namespace husk::agent
