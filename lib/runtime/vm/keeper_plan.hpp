// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/handoff/vm_keeper.hpp"
#include "lib/runtime/plan/vm_plan.hpp"

namespace husk::runtime {

/// How the keeper of a VM is started. Under systemd the keeper is a service of its own,
/// "husk-keeper-ID.service": conmon ends when the last of its descendants has ended, and the VM may stay
/// longer than the container that conmon is there for.
handoff::KeeperSetup plan_keeper(const VmPlan& vm);

}  // namespace husk::runtime
