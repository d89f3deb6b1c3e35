// SPDX-License-Identifier: Apache-2.0
// What husk gives a freshly made husk-shim, over the SOCK_SEQPACKET socket that is the shim's
// descriptor 3.
//
//   husk -> shim   one packet: the JSON below, with the descriptors in SCM_RIGHTS in this order:
//                  control connection (after hello), then one for each stream of stdio, then the
//                  caller's socket for sd_notify(3), if there is one, the bundle's directory, if
//                  its caller looks there for the file "oom", and a socket of the VM's keeper, connected
//   shim -> husk   one packet: empty text once the agent knows the shim as the process's owner;
//                  else an error text
//
// If the socket closes without a packet the shim exits: husk died, or undid its work.
#pragma once

#include <chrono>

#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/protocol/process_ref.hpp"
#include "lib/guestcomm/protocol/stdio.hpp"

namespace husk::handoff {

inline constexpr int shim_fd = 3;

/// What the shim is to stand for.
struct Duty {
  guestcomm::ProcessRef process;
  /// For one message from or to the guest, however it comes: a guest that stops or drips inside of
  /// one is lost.
  std::chrono::milliseconds message_patience = std::chrono::seconds{30};
};

struct Handoff {
  Duty duty;
  UniqueFd control;
  guestcomm::Stdio<UniqueFd> stdio;  ///< the guest's stream connections
  UniqueFd notify;                   ///< connected, for datagrams; may be empty
  UniqueFd bundle = {}, kills = {};  ///< see shim/oom_mark.hpp; may be empty
};

/// notify, bundle, kills: -1 for none. Throws system.
void send(int socket, const Duty& duty, int control, const guestcomm::Stdio<int>& stdio,
          int notify = -1, int bundle = -1, int kills = -1);
/// Throws system, peer_lost when husk closed the socket, invalid_argument on a wrong packet.
Handoff receive(int socket);

}  // namespace husk::handoff
