// SPDX-License-Identifier: Apache-2.0
// The one process that stays with a VM: it ends the VM when nobody stands for its containers any
// more, runs a vsock device in user space where the host has no /dev/vhost-vsock, has the guest
// follow what changes around it on the host, and lets in who connects to it there.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/link/keeper_duties.hpp"
#include "lib/guestcomm/link/vhost_device.hpp"

namespace husk::guestcomm {

/// Has somebody else start the keeper: a process that descends neither from the caller nor from the
/// container's, and that calls run_vm_keeper() with `socket`, which stays the caller's. Throws when
/// that cannot be asked for.
using LaunchKeeper = std::function<void(int socket)>;

struct KeeperSetup {
  AbandonedVm abandoned = {};
  KeeperCallbacks callbacks = {};
  /// Empty, or one that fails: the keeper is forked. The nearest subreaper, which is conmon or
  /// containerd's shim, is its parent then.
  LaunchKeeper launch = {};
};

/// The owners of the sockets of a vsock device in user space.
struct VsockUsers {
  unsigned device = 0;      ///< uid and gid of the device, this VM's alone
  unsigned hypervisor = 0;  ///< uid of who connects to the device's vhost.sock
};

/// Running from construction on; ends on destruction unless handed over to a VM.
class VmKeeper {
 public:
  /// Where the host has /dev/vhost-vsock: nothing but the keeper.
  explicit VmKeeper(KeeperSetup setup = {});
  /// Starts vhost-device-vsock as user and group `users.device`, with its socket `vsock.sock` (the
  /// host connects) in `directory`/device, which must exist and belong to that user. `vhost.sock`
  /// (the hypervisor connects) is moved into `directory`, which must be root's. Returns when both
  /// sockets are there. Throws unsupported "vhost-device-vsock is not installed and ...", timed_out.
  /// Both: must be called while the process has one thread. The keeper holds none of the caller's
  /// descriptors and is not in the caller's cgroups.
  VmKeeper(const std::filesystem::path& directory, const VsockUsers& users, KeeperSetup setup = {});
  VmKeeper(VmKeeper&&) noexcept = default;
  VmKeeper& operator=(VmKeeper&&) = delete;
  VmKeeper(const VmKeeper&) = delete;
  VmKeeper& operator=(const VmKeeper&) = delete;
  ~VmKeeper();

  bool has_device() const noexcept { return device_.has_value(); }
  std::filesystem::path device_socket() const;  ///< for QEMU's chardev
  std::filesystem::path host_socket() const;    ///< for HybridAddress

  /// From now on the keeper lives exactly as long as the VM. When the last shim has ended, and
  /// no other came, the guest has 5 s to power off; then QEMU is killed, as it is at once when a
  /// helper ends. Throws peer_lost if one of them ended.
  void hand_over(const KeptVm& kept);

 private:
  void start();
  void fork_keeper();
  void await_greeting();
  bool receive_greeting();
  bool has_ended(int timeout_ms);
  std::filesystem::path own_folder() const;  ///< the device's
  void await_sockets();
  std::optional<VhostDeviceSetup> device_;
  KeeperSetup setup_;
  bool is_launched_ = false, has_greeted_ = false;
  UniqueFd keeper_;  ///< socket to the keeper; its closing without a hand-over ends it
};

}  // namespace husk::guestcomm
