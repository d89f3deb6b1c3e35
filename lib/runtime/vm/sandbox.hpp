// SPDX-License-Identifier: Apache-2.0
// The VM that containers run in: its directory, its record, and the way to its agent.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/directory_lock.hpp"
#include "lib/guestcomm/link/agent_client.hpp"
#include "lib/runtime/plan/plan.hpp"
#include "lib/runtime/vm/vm_boot.hpp"
#include "lib/runtime/vm/vm_directory.hpp"
#include "lib/runtime/vm/vm_record.hpp"

namespace husk::runtime {

class Sandbox {
 public:
  /// For a connection to a guest that is there: its host may be busy with many others.
  static constexpr std::chrono::seconds connect_patience{30};

  /// Makes the VM's directory and its record, and holds its lock. Removed on destruction unless
  /// kept.
  explicit Sandbox(const SandboxPlan& plan);
  /// One that is there, to be talked to; takes no lock. Throws not_found "VM 1234: is gone".
  static Sandbox open(const std::string& vm_id) { return Sandbox(load_vm(vm_id)); }
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  ~Sandbox() = default;

  const VmPaths& paths() const noexcept { return directory_.paths(); }
  /// Writes it down as a member: from then on the VM is not only the others'. Throws already_exists,
  /// not_found "VM 1234: is gone" for one whose machine has ended, unsupported where files that are
  /// pinned in this mount namespace do not reach the VM, what lock_vm throws.
  void add_member(const std::string& id);
  /// Pins the files of a member: VmDirectory::add_container.
  std::vector<std::size_t> pin_files(const std::string& id, const std::filesystem::path& rootfs,
                                     const GuestPlan& plan) {
    return directory_.add_container(id, rootfs, plan);
  }
  void unpin_files(const std::string& id) const { directory_.remove_container(id); }
  /// Who stands for a member on the host. The VM's keeper reads it.
  void note_shim(const std::string& id, const ProcessIdentity& shim);
  /// Starts the VM, and writes down what runs. The result must go before this and `cgroup`.
  std::unique_ptr<BootingVm> boot(const SandboxPlan& plan,
                                  const hypervisor::ConnectHypervisor& connect, HostCgroup& cgroup,
                                  pid_t shim);
  /// The network cards that the VM has.
  std::vector<hypervisor::NetworkCard> cards() const {
    return vm_cards(record_.id, record_.network_cards);
  }
  /// The shims of its containers that run.
  std::vector<ProcessIdentity> shims() const { return live_shims(record_); }
  /// For who reads what the caller wired and tells the guest: one at a time. Reads anew what others
  /// wrote down meanwhile. Throws timed_out, not_found.
  DirectoryLock lock_network();
  /// Under that lock: gives the running VM one more card. `place` moves its tap to where it belongs.
  /// Throws what the hypervisor and lock_vm throw.
  void attach_card(const hypervisor::ConnectHypervisor& connect,
                   const std::function<void(const hypervisor::NetworkCard&)>& place);
  /// All it takes to reach the agent. Throws wrong_state before boot().
  guestcomm::GuestAccess guest() const;
  /// patience: for connecting, and for each call.
  guestcomm::AgentClient connect(std::chrono::milliseconds patience) const {
    return {guest(), patience};
  }
  void keep() noexcept { directory_.keep(); }

 private:
  void change_record(const std::function<void(VmRecord&)>& change);
  explicit Sandbox(VmRecord record) : directory_(record.id), record_(std::move(record)) {}

  std::optional<DirectoryLock> lock_;  // let go after the directory is removed
  VmDirectory directory_;
  VmRecord record_;
};

/// Empty: the VM's directory is gone. Throws timed_out when another command has held it for 10 s.
std::optional<DirectoryLock> lock_vm(const std::string& vm_id);

}  // namespace husk::runtime
