// SPDX-License-Identifier: Apache-2.0
// A VM that runs for nobody yet becomes a container's.
#pragma once

#include <vector>

#include "lib/base/process.hpp"
#include "lib/handoff/vm_keeper.hpp"
#include "lib/runtime/plan/vm_paths.hpp"

namespace husk::runtime {

/// The processes of such a VM.
struct VmProcesses {
  ProcessIdentity hypervisor;
  std::vector<ProcessIdentity> helpers;  ///< that serve the VM's share
};

/// Hands the VM over to its keeper for the container of `shim`, which must run. From then on the keeper ends the VM
/// once `shim` and every later shim have exited, has the guest follow changes in the network namespace of `shim`, and
/// serves connections that are made to "localhost" in it. Throws peer_lost when the VM or the shim has
/// ended, system.
void hand_over(handoff::VmKeeper& keeper, const VmPaths& paths, const VmProcesses& vm,
               const ProcessIdentity& shim);

}  // namespace husk::runtime
