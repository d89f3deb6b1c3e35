// SPDX-License-Identifier: Apache-2.0
// What husk and the keeper of a VM say to each other, over the SOCK_SEQPACKET socket that is the
// keeper's standard input. Each message is one packet of JSON, with its descriptors in SCM_RIGHTS.
//
//   husk -> keeper   begin: which VM, and the vsock device and the file server that the keeper runs
//   keeper -> husk   one byte: the keeper has started, with the pidfd of the file server
//   husk -> keeper   keep: the VM's processes; or end: there will be no VM
//
// A VM of the pool is kept with a socket on which its keeper listens. Who connects there has the greeting (without a
// descriptor), and says once more `keep`, with all that the container's VM needs; or `end`.
//
// The socket closes after that. Without `keep` or `end`, husk was killed while the VM was being started.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/unique_fd.hpp"
#include "lib/handoff/file_server.hpp"
#include "lib/handoff/vhost_sockets.hpp"

namespace husk::handoff {

struct KeeperBegin {
  std::string vm_id;
  std::optional<VhostDeviceSetup> device = {};
  bool leave_cgroups = false;  ///< the keeper is in those of the command that started the VM
  std::string record = {};     ///< the path of the VM's record, which lists the shims; may be empty
  /// The path of the file that says what the guest was told of the network. Until this file exists, no
  /// change of the network needs husk. Empty: every change does.
  std::string told_network = {};
  /// The paths of the caller's file and of husk's for the network namespace that stands for a pod. The VM goes on
  /// without a container as long as both lead to the same namespace and the record lists containers. Empty: the VM
  /// ends after its last container.
  std::string pod_network = {}, own_pod_network = {};
  std::optional<FileServerSetup> files = {};
  UniqueFd files_socket = {}, files_log = {};  ///< FileServer's; there with `files`
  /// A FIFO into which the hypervisor writes the guest's console, and the file that the keeper appends to; both or none.
  UniqueFd console_fifo = {}, console_log = {};
  std::string config =
      {};  ///< the path of the configuration for that program; empty: the usual one
  bool fills_pool =
      false;           ///< the pool had no VM for the container: the keeper has the pool filled
  UniqueFd husk = {};  ///< husk's program, for what the keeper has done by it; may be empty
};

/// The processes that the keeper watches, as pidfds, and what it holds; empty where there is none.
struct KeptProcesses {
  UniqueFd vm;
  std::vector<UniqueFd> helpers = {}, shims = {};
  UniqueFd changes = {}, kills = {}, listener = {}, held = {}, claims = {};
};

struct NoVm {};         ///< husk has undone what it began
struct AbandonedVm {};  ///< husk was killed
using KeeperOrder = std::variant<KeptProcesses, NoVm, AbandonedVm>;

/// Each throws system.
/// files: a pidfd, or -1.
void send_greeting(int socket, int files);
void send_begin(int socket, const KeeperBegin& begin);
void send_keep(int socket, const KeptProcesses& processes);
void send_end(int socket) noexcept;

/// Both throw system, and invalid_argument on a wrong packet. receive_begin() throws peer_lost where husk
/// is gone.
KeeperBegin receive_begin(int socket);
KeeperOrder receive_order(int socket);

struct KeeperGreeting {
  UniqueFd files = {};  ///< the pidfd of the file server, if the keeper runs one
};
/// Empty where the keeper has ended. Throws system.
std::optional<KeeperGreeting> receive_greeting(int socket);

}  // namespace husk::handoff
