// SPDX-License-Identifier: Apache-2.0
// What annotations say of the size of a VM. Pure. All functions throw invalid_argument with the annotation's name.
#pragma once

#include "lib/runtime/plan/annotations.hpp"
#include "lib/runtime/plan/vm_size.hpp"

namespace husk::runtime {

/// The sum of the limits that a pod's containers declare, which kubelet hands to containerd and CRI-O with the sandbox.
/// A container without a limit counts nothing. Empty where nothing is said.
Demand pod_demand(const Annotations& annotations);

/// "io.husk.memory_mib" and "io.husk.vcpus", of the container that makes the VM.
VmSize asked_size(const Annotations& annotations);

}  // namespace husk::runtime
