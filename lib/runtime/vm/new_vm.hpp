// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "lib/base/directory_lock.hpp"
#include "lib/base/error.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/plan/vm_plan.hpp"
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
  NewVm(const NewVm&) = delete;
  NewVm& operator=(const NewVm&) = delete;
  ~NewVm() = default;

  /// Does what change_vm() does, under the lock that is held already.
  void change_record(const std::function<void(VmRecord&)>& change);
  VmDirectory& directory() noexcept { return directory_; }
  VmHandle handle() const { return VmHandle(record_); }
  /// Boots: starts the keeper, then the VM, and records the processes. The guest boots meanwhile. The
  /// keeper ends the VM with this process until adopt(). Throws what the hypervisor throws.
  void start(const hypervisor::ConnectHypervisor& connect);
  /// Gives the started VM to a container: BootingVm::adopt.
  void adopt(const ProcessIdentity& shim, HostCgroup& cgroup);
  /// Returns when the guest's agent listens, and records from which ports the agent can be reached. Throws as
  /// BootingVm::await_agent.
  void await_agent(std::chrono::seconds patience);
  Error explain(const Error& error) const { return vm_ ? vm_->explain(error) : error; }
  void keep() noexcept;

 private:
  VmPlan plan_;
  std::optional<DirectoryLock> lock_;  // released after the directory is removed
  VmDirectory directory_;
  VmRecord record_;
  std::optional<BootingVm> vm_;
};

}  // namespace husk::runtime
