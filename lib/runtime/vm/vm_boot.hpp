// SPDX-License-Identifier: Apache-2.0
// A VM from the moment that libvirt is asked for it until it stands by itself.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/guestcomm/link/announcement.hpp"
#include "lib/guestcomm/link/guest_address.hpp"
#include "lib/handoff/vm_keeper.hpp"
#include "lib/hypervisor/booted_vm.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/plan/vm_paths.hpp"
#include "lib/runtime/plan/vm_plan.hpp"

namespace husk::runtime {

/// What the server of a VM's share gets, until it has started.
struct ShareServer {
  UniqueFd socket, log;
};

/// What the VM's keeper gets where it writes the console's log; else empty.
struct Console {
  UniqueFd fifo, log;
};

/// The sockets of a vsock device that is not the host's kernel. The hybrid one is that of HybridAddress.
struct VsockSockets {
  std::optional<std::filesystem::path> hybrid, vhost_user;
};

/// A running VM with its keeper, whose guest boots. Both end on destruction unless kept.
class BootingVm {
 public:
  /// Starts the keeper with the vsock device, then the VM. Throws what the hypervisor throws.
  BootingVm(const VmPlan& plan, const hypervisor::ConnectHypervisor& connect);
  BootingVm(const BootingVm&) = delete;
  BootingVm& operator=(const BootingVm&) = delete;
  ~BootingVm();

  /// Gives the VM to the container of `shim`, which must run: moves the VM's processes into `cgroup`, and
  /// the taps of its `cards` into the network namespace of `shim`. Then as hand_over() (adoption.hpp). Throws
  /// peer_lost when the VM or the shim has ended, system.
  void adopt(const ProcessIdentity& shim, HostCgroup& cgroup,
             const std::vector<hypervisor::NetworkCard>& cards);

  /// Gives the VM to the pool: its process goes into `cgroup`, and the taps of its `cards` into a network namespace of
  /// their own. From then on the keeper waits for who claims the VM. Throws as adopt().
  void park(HostCgroup& cgroup, const std::vector<hypervisor::NetworkCard>& cards);

  const hypervisor::StartedVm& get() const noexcept { return vm_->get(); }
  /// The processes that serve the VM's share.
  const std::vector<ProcessIdentity>& helpers() const noexcept { return helpers_; }
  guestcomm::GuestAddress address() const;
  /// Returns the protocol to speak with the guest's agent, when it listens. Throws "the guest did not come up: ...", with the end
  /// of the guest's console.
  int await_agent(std::chrono::seconds patience) const;
  /// The same error with the end of the guest's console, for an error that the guest may have caused.
  Error explain(const Error& error) const;
  void keep() noexcept {
    vm_->keep();
    is_kept_ = true;
  }

 private:
  void start(const VmPlan& plan);
  void move_helpers(HostCgroup& cgroup);
  bool is_keeper_gone() const;
  Error with_log(const Error& error) const;

  VmPaths paths_;
  ShareServer share_;
  Console console_;
  handoff::VmKeeper keeper_;
  VsockSockets vsock_;
  std::unique_ptr<guestcomm::Announcement> announcement_;
  std::unique_ptr<hypervisor::Hypervisor> hypervisor_;
  std::optional<hypervisor::BootedVm> vm_;
  std::vector<ProcessIdentity> helpers_;
  bool is_kept_ = false;
};

}  // namespace husk::runtime
