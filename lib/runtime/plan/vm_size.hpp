// SPDX-License-Identifier: Apache-2.0
// The size of a VM follows what its containers may use. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/oci/spec.hpp"

namespace husk::runtime {

/// What a container, or a pod as a whole, may use. Empty: there is no limit.
struct Demand {
  std::optional<std::uint64_t> memory_mib = {};
  std::optional<std::uint64_t> quota_us = {},
                               period_us = {};  ///< of CPU time, in each period; 0.1 s if not given
  std::optional<unsigned> cpuset = {};          ///< how many CPUs it may run on
  // For the host's cgroup alone.
  std::optional<std::string> cpus = {}, mems = {};  ///< lists: CPUs of the host, its memory nodes
  std::optional<std::uint64_t> cpu_shares = {};     ///< 2 to 262144
  std::optional<std::uint64_t> processes = {};
  bool operator==(const Demand&) const = default;
};

/// Reads the limits of memory and of CPU time, and the number of CPUs, rounded up (config-linux.md "Control groups").
/// Throws invalid_argument for a list of CPUs that is none.
Demand demand_of(const oci::Resources& resources);

/// Changes what `update` names.
Demand updated(const Demand& old, const oci::Resources& update);

/// The CPU time that a quota allows, in thousandths of a CPU. Empty: there is no quota.
std::optional<std::uint64_t> cpu_milli(const Demand& demand);

/// For QEMU beside the guest's memory. An idle pod took 45 MiB (docs/kubernetes.md, "Sizing"); twice that.
inline constexpr std::uint64_t hypervisor_mib = 96;

/// More CPUs than these are only for who asks for them by a quota.
inline constexpr unsigned usual_most_cpus = 8;

/// What the VM has, its guest's kernel included.
struct VmSize {
  std::uint64_t memory_mib = 0;
  unsigned vcpus = 0;
  bool operator==(const VmSize&) const = default;
};

/// What a VM can be. The defaults are for containers without limits.
struct VmSizeBounds {
  VmSize usual;  ///< of a VM whose containers have no limits
  std::uint64_t host_memory_mib = 0;
  unsigned host_cpus = 0;
  VmSize most = {};  ///< by the administrator; 0: what the host has
  std::optional<std::uint64_t> cgroup_memory_mib = {};  ///< HostFacts::cgroup_memory_mib
};

/// The containers of a VM that count; a pod's sandbox does not.
struct VmDemands {
  std::vector<Demand> containers = {};
  Demand pod = {};    ///< what the caller says of the whole pod, whose containers are to come
  VmSize fixed = {};  ///< asked for the VM itself, by annotations; 0: not
};

/// What a guest takes for its kernel and its agent, so that `usable_mib` are left for containers.
std::uint64_t guest_overhead_mib(std::uint64_t usable_mib);

/// Throws invalid_argument where a limit is more than the administrator allows, or more memory than the host has. All
/// limits of a VM together may be more, as with every other runtime.
void check_demand(const Demand& demand, const VmSizeBounds& bounds);

/// Memory for each container's limit together, the usual memory once for all that have no limit, and the guest's own; the
/// sum of the quotas in whole CPUs, and for a container without a quota the usual CPUs, or those of its cpuset;
/// at most what the host has and the administrator allows. Throws invalid_argument where the fixed or the
/// usual size is more, or a cgroup above leaves too little memory.
VmSize plan_vm_size(const VmDemands& demands, const VmSizeBounds& bounds);

}  // namespace husk::runtime
