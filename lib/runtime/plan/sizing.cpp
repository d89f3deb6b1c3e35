// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/sizing.hpp"

#include "lib/runtime/plan/size_annotations.hpp"

namespace husk::runtime {

VmSizeBounds size_bounds(const Config& config, std::uint64_t host_memory_mib, unsigned host_cpus) {
  return {.usual = {.memory_mib = config.memory_mib, .vcpus = config.vcpus},
          .host_memory_mib = host_memory_mib,
          .host_cpus = host_cpus,
          .most = {.memory_mib = config.max_memory_mib, .vcpus = config.max_vcpus}};
}

Sizing plan_sizing(const oci::Spec& spec, const Config& config, const HostFacts& facts) {
  check_own_annotations(spec.annotations, config.allowed_annotations);
  Sizing sizing{.fixed = asked_size(spec.annotations),
                .bounds = size_bounds(config, facts.memory_mib, facts.cpus)};
  sizing.bounds.cgroup_memory_mib = facts.cgroup_memory_mib;
  const bool is_sandbox = facts.pod && facts.pod->is_sandbox;
  if (is_sandbox) {
    sizing.pod = pod_demand(spec.annotations);
  } else {
    sizing.demand = demand_of(spec.linux_.resources.value_or(oci::Resources{}));
    check_demand(*sizing.demand, sizing.bounds);
  }
  return sizing;
}

VmSize plan_vm_size(const Sizing& sizing) {
  VmDemands demands{.pod = sizing.pod, .fixed = sizing.fixed};
  if (sizing.demand) demands.containers.push_back(*sizing.demand);
  return plan_vm_size(demands, sizing.bounds);
}

}  // namespace husk::runtime
