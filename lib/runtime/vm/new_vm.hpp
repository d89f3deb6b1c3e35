// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "lib/base/directory_lock.hpp"
#include "lib/base/error.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/plan/vm_plan.hpp"
#include "lib/runtime/vm/claimed_vm.hpp"
#include "lib/runtime/vm/spare.hpp"
#include "lib/runtime/vm/vm_boot.hpp"
#include "lib/runtime/vm/vm_directory.hpp"
#include "lib/runtime/vm/vm_handle.hpp"
#include "lib/runtime/vm/vm_record.hpp"

namespace husk::runtime {

/// A VM from its directory to its booted guest, with or without a container in it. Ends on destruction,
/// with all that was made, unless kept. Holds the VM's lock.
class NewVm {
 public:
  /// Makes the VM's directory and record. Throws what VmDirectory and lock_vm throw.
  explicit NewVm(const VmPlan& plan);
  /// A VM of the pool, which has booted: becomes the one that is planned, which must have its id and secret.
  NewVm(const VmPlan& plan, TakenSpare spare, const hypervisor::ConnectHypervisor& connect);
  NewVm(const NewVm&) = delete;
  NewVm& operator=(const NewVm&) = delete;
  ~NewVm() = default;

  /// Does what change_vm() does, under the lock that is held already.
  void change_record(const std::function<void(VmRecord&)>& change);
  VmDirectory& directory() noexcept { return directory_; }
  VmHandle handle() const { return VmHandle(record_); }
  /// The hypervisor, after start().
  const ProcessIdentity& process() const { return record_.process.value(); }
  /// Boots: starts the keeper, then the VM, and records the processes. The guest boots meanwhile. The
  /// keeper ends the VM with this process until adopt(). Throws what the hypervisor throws. Nothing is left to do for a VM
  /// of the pool.
  void start(const hypervisor::ConnectHypervisor& connect);
  /// Gives the started VM to the pool: BootingVm::park.
  void park(HostCgroup& cgroup);
  /// Gives the started VM to a container: BootingVm::adopt, ClaimedVm::adopt.
  void adopt(const ProcessIdentity& shim, HostCgroup& cgroup);
  /// Returns when the guest's agent listens, and records from which ports the agent can be reached. Throws as
  /// BootingVm::await_agent.
  void await_agent(std::chrono::seconds patience);
  /// The connection by which a VM of the pool was claimed. Empty: there is none, or no longer.
  std::optional<guestcomm::AgentClient> take_agent();
  /// Has the guest use all that the VM was planned with: await_plugged(), ClaimedVm::resize.
  void complete_size(guestcomm::AgentClient& agent);
  Error explain(const Error& error) const { return vm_ ? vm_->explain(error) : error; }
  void keep() noexcept;

 private:
  VmPlan plan_;
  std::optional<DirectoryLock> lock_;  // released after the directory is removed
  VmDirectory directory_;
  VmRecord record_;
  // One of them.
  std::optional<BootingVm> vm_;
  std::optional<ClaimedVm> claimed_;
};

}  // namespace husk::runtime
