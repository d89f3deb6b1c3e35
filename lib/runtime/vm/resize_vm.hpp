// SPDX-License-Identifier: Apache-2.0
// The size of a VM that runs (docs/architecture.md, "The size of a VM").
#pragma once

#include <string>

#include "lib/guestcomm/link/agent_client.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/plan/vm_size.hpp"
#include "lib/runtime/vm/vm_record.hpp"

namespace husk::runtime {

/// What the containers of the VM ask for together.
VmDemands demands_of(const VmRecord& vm);

enum class Fit { grow, shrink };

/// Limits what the VM may take from the host to what its containers, and itself, need (plan_vm_limits). Throws as
/// limit_cgroups_of.
void limit_vm(VmRecord& vm);

/// Gives the VM the size that its containers ask for: only more, or only less, than it has; and limits it on the host.
/// Undone, and an error, where the guest does not take what it is given; what the guest does not give back stays. Nothing is done to a VM of an older
/// husk. Throws invalid_argument where the VM cannot have one of the limits, as plan_vm_size and as Hypervisor::change.
void fit_vm(const std::string& vm_id, const VmSizeBounds& bounds, Fit fit,
            const hypervisor::ConnectHypervisor& connect);

/// Gives a VM that nobody uses yet another shape, and notes it in `vm`. Throws as fit_vm; the VM is good for nothing then.
void give_shape(VmRecord& vm, const hypervisor::VmShape& wanted, hypervisor::Hypervisor& libvirt,
                guestcomm::AgentClient& agent);

/// Changes what the container asks for, on record alone; false: the record knows nothing of sizes, or of the container's.
bool note_demand(const std::string& vm_id, const std::string& container, const Demand& demand);

/// Waits until the guest uses what a new VM has plugged beside the memory that it booted with. Throws system where the
/// guest does not.
void await_plugged(guestcomm::AgentClient& agent, const hypervisor::VmShape& shape);

}  // namespace husk::runtime
