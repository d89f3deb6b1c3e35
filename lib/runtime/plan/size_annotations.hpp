// SPDX-License-Identifier: Apache-2.0
// What annotations say of the size of a VM. Pure. All functions throw invalid_argument with the annotation's name.
#pragma once

#include <map>
#include <set>
#include <string>

#include "lib/runtime/plan/vm_size.hpp"

namespace husk::runtime {

/// The sum of the limits that a pod's containers declare, which kubelet hands to containerd and CRI-O with the sandbox.
/// A container without a limit counts nothing. Empty where nothing is said.
Demand pod_demand(const std::map<std::string, std::string>& annotations);

/// "io.husk.memory_mib" and "io.husk.vcpus", of the container that makes the VM. `allowed`: names that the
/// administrator lets callers use. Throws for others that begin with "io.husk." as well.
VmSize asked_size(const std::map<std::string, std::string>& annotations,
                  const std::set<std::string>& allowed);

}  // namespace husk::runtime
