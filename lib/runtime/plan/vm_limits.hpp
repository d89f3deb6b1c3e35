// SPDX-License-Identifier: Apache-2.0
// What a VM may take from the host follows what its containers may use. Pure.
#pragma once

#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/host/limit_cgroup.hpp"
#include "lib/runtime/plan/vm_size.hpp"

namespace husk::runtime {

/// A guest keeps its containers to their limits; these keep a guest whose kernel was taken over, and QEMU. So they leave
/// room for what the guest, QEMU and virtiofsd (which keeps `max_open_files` open at most) need beside the containers: docs/architecture.md, "The size of a VM". A limit of CPU
/// time, of processes or to some CPUs applies where each container has one.
CgroupLimits plan_vm_limits(const VmDemands& demands, const VmSize& size,
                            hypervisor::Accelerator accelerator, std::uint64_t max_open_files);

}  // namespace husk::runtime
