// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "lib/runtime/vm/vm_record.hpp"

namespace husk::runtime {

/// What the processes of a VM use on the host, as the host's kernel counts, whatever the guest says.
struct HostCost {
  std::uint64_t memory_bytes = 0;  ///< of the guest and the hypervisor, and of helpers their own
  std::chrono::nanoseconds cpu_time{0};  ///< of all of them since they started
  std::size_t containers = 0;            ///< that share this cost
};

/// Processes that have ended count no more.
HostCost find_host_cost(const VmRecord& vm);

}  // namespace husk::runtime
