// SPDX-License-Identifier: Apache-2.0
// What a new container says of the size of its VM, and what the host and the administrator allow. Pure.
#pragma once

#include <optional>

#include "lib/oci/spec.hpp"
#include "lib/runtime/host/config.hpp"
#include "lib/runtime/plan/host_facts.hpp"
#include "lib/runtime/plan/vm_size.hpp"

namespace husk::runtime {

struct Sizing {
  std::optional<Demand> demand =
      {};             ///< the container's; empty for a pod's sandbox, which needs next to nothing
  Demand pod = {};    ///< pod_demand() of a sandbox
  VmSize fixed = {};  ///< asked_size()
  VmSizeBounds bounds = {};
};

/// cgroup_memory_mib is left empty.
VmSizeBounds size_bounds(const Config& config, std::uint64_t host_memory_mib, unsigned host_cpus);

/// Throws as check_own_annotations, pod_demand, asked_size, demand_of and check_demand.
Sizing plan_sizing(const oci::Spec& spec, const Config& config, const HostFacts& facts);

/// The size of a VM that the container has to itself. Throws as plan_vm_size.
VmSize plan_vm_size(const Sizing& sizing);

}  // namespace husk::runtime
