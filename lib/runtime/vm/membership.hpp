// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/plan/guest_plan.hpp"
#include "lib/runtime/plan/vm_plan.hpp"
#include "lib/runtime/record/container_record.hpp"
#include "lib/runtime/record/state_store.hpp"
#include "lib/runtime/vm/new_vm.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {

/// A container's place in a VM: in a new one, or in one that runs. On destruction, unless kept, the
/// container leaves the VM, and a new VM ends.
class Membership {
 public:
  /// Records the container as a member; the VM must outlive it from then on. new_vm: the plan of the VM;
  /// empty: VM container.vm_id runs. `demand`: VmMember's. `state`: kept where leaving fails, so that `delete` can try again.
  /// Throws already_exists, not_found "VM 1234: is gone" for one whose process has ended, unsupported
  /// where files that are pinned in this mount namespace do not reach the VM, what NewVm and lock_vm
  /// throw.
  /// spare: a VM of the pool that becomes the new one.
  Membership(const ContainerRecord& container, const std::optional<VmPlan>& new_vm,
             const std::optional<Demand>& demand, hypervisor::ConnectHypervisor connect,
             StateDir& state, std::optional<TakenSpare> spare = std::nullopt);
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;
  ~Membership();

  /// Records what is to be removed with a new VM: the directories of a cgroup that is the VM's alone, and
  /// those that husk made for an earlier VM of its pod.
  void note_cgroups(const std::vector<std::filesystem::path>& made);
  /// Pins the container's files for the VM: VmDirectory::add_container. Records the tmpfs mounts that the guest has
  /// until the VM ends, which are pinned as long.
  PinnedBinds pin_files(const std::filesystem::path& rootfs, const GuestPlan& plan);
  /// Records the container's shim, and has the VM started for it, if it is new: its processes go into
  /// `cgroup`. Throws as NewVm::start and NewVm::adopt; not_found for a VM that has ended meanwhile.
  void enter(const ProcessIdentity& shim, HostCgroup& cgroup);
  /// Returns when the agent listens, of a VM that is new. Throws as NewVm::await_agent.
  void await_agent(std::chrono::seconds patience);
  /// Limits what a new VM may take from the host, as limit_vm(). Not before the guest has booted, which a limit of CPU
  /// time would slow down.
  void limit_new_vm();
  /// Has a VM that others use grow for the container, after enter(). Throws as fit_vm.
  void grow_vm(const VmSizeBounds& bounds);
  /// Has the guest of a new VM use all of its memory: NewVm::complete_size.
  void complete_size(guestcomm::AgentClient& agent);
  /// The VM, after enter().
  VmHandle vm() const;
  /// A connection to the VM's agent: of a VM of the pool the one by which the VM was claimed, once.
  guestcomm::AgentClient connect();
  /// The same error; where a new VM's guest was lost, with the end of its console.
  Error explain(const Error& error) const;
  void keep() noexcept;

 private:
  PinnedBinds add_files(const std::filesystem::path& rootfs, const GuestPlan& plan);
  void change_record(const std::function<void(VmRecord&)>& change);

  std::string vm_id_, container_;
  hypervisor::ConnectHypervisor connect_;
  StateDir& state_;
  std::optional<NewVm> new_vm_;
  bool leave_ = false;                 ///< a VM that others use
  std::optional<VmSizeBounds> grown_;  ///< with which it was asked to grow
};

}  // namespace husk::runtime
