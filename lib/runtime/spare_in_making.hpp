// SPDX-License-Identifier: Apache-2.0
// Which VM a `husk pool fill` makes just now: a file of its id in /run/husk-pool. A husk that is killed before the VM has its
// mark (vm/spare.hpp), or before the record names the VM's cgroup, leaves what no record tells from a create's.
#pragma once

#include <string>

#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/host/host_cgroup.hpp"

namespace husk::runtime {

/// The directory is also the lock of who makes and ends spares: the callers of all of these have it.
inline constexpr const char* pool_directory = "/run/husk-pool";

/// There as long as the object lives.
class SpareInMaking {
 public:
  explicit SpareInMaking(const std::string& vm_id);
  SpareInMaking(const SpareInMaking&) = delete;
  SpareInMaking& operator=(const SpareInMaking&) = delete;
  ~SpareInMaking();

 private:
  std::string file_;
};

CgroupPlan plan_spare_cgroup(const std::string& vm_id, bool has_systemd);

/// Ends what husks that were killed were making; a VM that was ready by then stays. Warns of what goes wrong.
void end_spares_in_making(const hypervisor::ConnectHypervisor& connect);

}  // namespace husk::runtime
