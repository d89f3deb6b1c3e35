// SPDX-License-Identifier: Apache-2.0
// husk's side of the keeper of a VM, which is the program husk-keeper (keeper/).
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/process.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/handoff/file_server.hpp"
#include "lib/handoff/keeper_messages.hpp"
#include "lib/handoff/vhost_sockets.hpp"

namespace husk::handoff {

/// The processes that the keeper watches; all must be running.
struct KeptVm {
  ProcessIdentity vm;  ///< the hypervisor
  /// End by themselves after the VM; else killed. The VM does not outlive one of them.
  std::vector<ProcessIdentity> helpers = {};
  /// The VM ends after the last one, and after those that joined later; none: not watched.
  std::vector<ProcessIdentity> shims = {};
  int changes = -1;   ///< a datagram socket, non-blocking, which tells of changes; -1: none
  int kills = -1;     ///< a datagram socket, non-blocking, on which shims tell of kills; -1: none
  int listener = -1;  ///< a listening socket, non-blocking, whose connections to serve; -1: none
  int held = -1;      ///< to be kept open until the VM is gone; -1: nothing
  /// A listening socket (listen_for_claim) of a VM of the pool: who connects gives the VM to a container
  /// (VmKeeper::of_spare). -1: the VM is a container's.
  int claims = -1;
};

/// Has another process start the keeper, which then descends neither from the caller nor from the
/// container's, with `socket`, which stays the caller's, as standard input. Throws when that cannot be
/// asked for.
using LaunchKeeper = std::function<void(int socket)>;

struct KeeperSetup {
  std::filesystem::path program;    ///< husk-keeper
  std::filesystem::path husk = {};  ///< the keeper calls `husk internal`; empty: it never does
  std::string vm_id = {};
  std::filesystem::path record =
      {};  ///< the VM's, which lists the shims; empty: no shim joins later
  std::filesystem::path told_network = {};                       ///< see KeeperBegin
  std::filesystem::path config = {};                             ///< see KeeperBegin
  bool fills_pool = false;                                       ///< the same
  std::filesystem::path pod_network = {}, own_pod_network = {};  ///< see KeeperBegin
  std::optional<FileServer> files = {};                          ///< that the keeper is to run
  int console_fifo = -1, console_log = -1;                       ///< see KeeperBegin
  /// Empty, or one that fails: the keeper is forked. The nearest subreaper, which is conmon or
  /// containerd's shim, is its parent then.
  LaunchKeeper launch = {};
  std::chrono::milliseconds patience =
      std::chrono::seconds{10};  ///< for the greeting, and the device's sockets
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
  explicit VmKeeper(KeeperSetup setup);
  /// Starts vhost-device-vsock as user and group `users.device`, with its socket `vsock.sock` (the
  /// host connects) in `directory`/device, which must exist and belong to that user. `vhost.sock`
  /// (the hypervisor connects) is moved into `directory`, which must be root's. Returns when both
  /// sockets are there. Throws unsupported "this host has neither /dev/vhost-vsock nor ...", timed_out.
  /// Both throw system where the keeper's program cannot be executed. Must be called while the process
  /// has one thread. The keeper holds none of the caller's descriptors and is not in the caller's
  /// cgroups.
  VmKeeper(const std::filesystem::path& directory, const VsockUsers& users, KeeperSetup setup);
  /// The keeper of a VM of the pool, which listens at `socket`: hand_over() gives the VM to a container. Where that does
  /// not happen, the keeper ends the VM. Throws system where nobody listens, timed_out.
  static VmKeeper of_spare(const std::filesystem::path& socket, std::chrono::milliseconds patience);
  VmKeeper(VmKeeper&&) noexcept = default;
  VmKeeper& operator=(VmKeeper&&) = delete;
  VmKeeper(const VmKeeper&) = delete;
  VmKeeper& operator=(const VmKeeper&) = delete;
  ~VmKeeper();

  /// Waits for the keeper, and returns its file server, which waits for the hypervisor. Throws system where the keeper
  /// did not start, peer_lost where the file server has ended.
  ProcessIdentity file_server();

  bool has_device() const noexcept { return device_.has_value(); }
  std::filesystem::path device_socket() const;  ///< for QEMU's chardev
  std::filesystem::path host_socket() const;    ///< for HybridAddress

  /// From now on the keeper lives exactly as long as the VM. When the last shim has ended, and
  /// no other came, the guest has 5 s to power off; then QEMU is killed, as it is at once when a
  /// helper ends. Throws peer_lost if one of them ended.
  void hand_over(const KeptVm& kept);
  /// Becomes readable when the keeper has ended, which ends the device too; -1 before the hand-over.
  int end() const noexcept { return handed_over_.get(); }

 private:
  VmKeeper() = default;
  void or_end(const std::function<void()>& work);
  void start();
  void fork_keeper();
  void begin();
  void await_greeting();
  bool receive_greeting();
  bool has_ended(int timeout_ms);
  std::filesystem::path own_folder() const;  ///< the device's
  void await_sockets();
  std::optional<VhostDeviceSetup> device_;
  KeeperSetup setup_;
  bool is_launched_ = false;
  std::optional<KeeperGreeting> greeting_;
  UniqueFd keeper_;       ///< socket to the keeper; its closing without a hand-over ends it
  UniqueFd handed_over_;  ///< the same socket, of which the keeper holds its end for its whole life
};

/// Makes the socket on which the keeper of a VM of the pool listens. Root alone may connect. Throws system.
UniqueFd listen_for_claim(const std::filesystem::path& path);

}  // namespace husk::handoff
