// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "keeper/duties.hpp"
#include "lib/handoff/keeper_messages.hpp"

namespace husk::keeper {

/// The keeper's duties. Which shims joined is read from the VM's record; all else runs
/// `husk internal COMMAND VM_ID [CONTAINER_ID]`, by the descriptor of the program: an update of the package, or its
/// removal, does not take the command away from a VM that runs. Without a program there are no such
/// duties. `begin` must outlive them.
Duties call_husk(const handoff::KeeperBegin& begin);

}  // namespace husk::keeper
