// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>
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
  /// The connection by which the VM was claimed, once. The guest powers off after its last connection.
  std::optional<guestcomm::AgentClient> take_agent() { return std::exchange(agent_, std::nullopt); }
  /// Gives the VM the size `wanted`, also in its guest, and notes its shape in `vm`. Throws as Hypervisor::change, and
  /// system where the guest does not take what it is given.
  void resize(VmRecord& vm, const VmSize& wanted, guestcomm::AgentClient& agent);
  void keep() noexcept { is_kept_ = true; }

 private:
  VmRecord record_;
  std::vector<std::filesystem::path> cgroups_;  ///< of the pool
  hypervisor::ConnectHypervisor connect_;
  handoff::VmKeeper keeper_;
  std::optional<guestcomm::AgentClient> agent_;
  bool is_kept_ = false;
};

}  // namespace husk::runtime
