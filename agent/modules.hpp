// SPDX-License-Identifier: Apache-2.0
// The kernel's modules in the initrd (rootfs-builder/initrd), in the order of when they are needed:
// each takes milliseconds of every start.
#pragma once

#include "agent/event_loop.hpp"

namespace husk::agent {

/// What the guest needs to reach its host and its files. What fails is logged.
void load_first_modules();

/// Those of network cards, when the first one is wanted: a guest without a network needs no driver, and none that a
/// container could attack. Nothing after the first time.
void load_network_modules();

/// After a second, one in a turn of the loop, so that requests get in between: those that no start needs.
void load_later_modules(EventLoop& loop);

}  // namespace husk::agent
