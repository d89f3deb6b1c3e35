// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/directory_lock.hpp"
#include "lib/guestcomm/link/agent_client.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/plan/vm_paths.hpp"
#include "lib/runtime/vm/vm_record.hpp"

namespace husk::runtime {

/// A VM that exists, for the commands that talk to its agent or use its network. Holds the record as it
/// was read; takes no lock of its own, and leaves the VM as it is on destruction.
class VmHandle {
 public:
  /// For a connection to a guest that has booted: the host may be busy with many others.
  static constexpr std::chrono::seconds connect_patience{30};

  /// Throws not_found "VM 1234: is gone".
  static VmHandle open(const std::string& vm_id) { return VmHandle(load_vm(vm_id)); }
  explicit VmHandle(VmRecord record) : paths_(record.id), record_(std::move(record)) {}

  const VmPaths& paths() const noexcept { return paths_; }
  /// The address and secret of the agent. Throws wrong_state for a VM that has not been started.
  guestcomm::GuestAccess guest() const;
  /// patience: for connecting, and for each event (AgentClient::next_event).
  guestcomm::AgentClient connect(std::chrono::milliseconds patience) const {
    return {guest(), patience};
  }
  /// The shims of the VM's containers that run.
  std::vector<ProcessIdentity> shims() const { return live_shims(record_); }
  /// The VM's network cards.
  std::vector<hypervisor::NetworkCard> cards() const;
  /// Serialises "read the caller's namespace, configure the guest", and reads the record again, which
  /// may have changed. Serialises changes of the VM's size as well. Throws timed_out when another command has held the
  /// lock for so long, not_found.
  DirectoryLock lock_network(std::chrono::seconds patience = std::chrono::seconds{120});
  /// Under that lock: gives the running VM one more card. `place` moves the card's tap into its network
  /// namespace. Throws what the hypervisor and change_vm throw.
  void attach_card(const hypervisor::ConnectHypervisor& connect,
                   const std::function<void(const hypervisor::NetworkCard&)>& place);

 private:
  VmPaths paths_;
  VmRecord record_;
};

}  // namespace husk::runtime
