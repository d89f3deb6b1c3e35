// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "lib/guestcomm/link/agent_client.hpp"
#include "lib/handoff/vm_keeper.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/vm/spare.hpp"

namespace husk::runtime {

/// A VM of the pool on its way to a container. Ends on destruction unless kept.
class ClaimedVm {
 public:
  ClaimedVm(TakenSpare& spare, const hypervisor::ConnectHypervisor& connect);
  ClaimedVm(const ClaimedVm&) = delete;
  ClaimedVm& operator=(const ClaimedVm&) = delete;
  ~ClaimedVm();

  /// As BootingVm::adopt.
  void adopt(const ProcessIdentity& shim, HostCgroup& cgroup,
             const std::vector<hypervisor::NetworkCard>& cards);
  /// Gives the VM the size `wanted`, also in its guest, and notes its shape in `vm`. Throws as Hypervisor::change, and
  /// system where the guest does not take what it is given.
  void resize(VmRecord& vm, const VmSize& wanted);
  void keep() noexcept { is_kept_ = true; }

 private:
  VmRecord record_;
  std::vector<std::filesystem::path> cgroups_;  ///< of the pool
  hypervisor::ConnectHypervisor connect_;
  handoff::VmKeeper keeper_;
  guestcomm::AgentClient agent_;  ///< keeps the guest up until the shim has a connection of its own
  bool is_kept_ = false;
};

}  // namespace husk::runtime
