// SPDX-License-Identifier: Apache-2.0
// A VM from the moment that libvirt is asked for it until it stands by itself.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "lib/base/error.hpp"
#include "lib/guestcomm/link/announcement.hpp"
#include "lib/guestcomm/link/guest_address.hpp"
#include "lib/guestcomm/link/vm_keeper.hpp"
#include "lib/hypervisor/booted_vm.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/plan/sandbox_plan.hpp"
#include "lib/runtime/plan/vm_paths.hpp"

namespace husk::runtime {

/// A running VM with its keeper, whose guest boots. Both end on destruction unless kept.
class BootingVm {
 public:
  /// Starts the keeper with the vsock device, then the VM, and puts its processes into `cgroup`,
  /// the taps of its network cards into the network namespace of `shim`.
  /// The keeper ends the VM after `shim`, which must run, and those that it finds by then; has the
  /// guest follow changes in that namespace, and serves connections that are made to "localhost" in it.
  /// Throws what the hypervisor throws, or peer_lost when VM or shim ended.
  BootingVm(const SandboxPlan& plan, const hypervisor::ConnectHypervisor& connect,
            HostCgroup& cgroup, pid_t shim);

  const hypervisor::StartedVm& get() const noexcept { return vm_->get(); }
  guestcomm::GuestAddress address() const;
  /// Returns when the guest's agent listens. Throws "the guest did not come up: ...", with the end
  /// of the guest's console.
  void await_agent(std::chrono::seconds patience) const;
  /// The same error with the end of the guest's console: for one of which the guest may be the cause.
  Error explain(const Error& error) const;
  void keep() noexcept { vm_->keep(); }

 private:
  VmPaths paths_;
  guestcomm::VmKeeper keeper_;
  std::unique_ptr<guestcomm::Announcement> announcement_;
  std::unique_ptr<hypervisor::Hypervisor> hypervisor_;
  std::optional<hypervisor::BootedVm> vm_;
};

}  // namespace husk::runtime
