// SPDX-License-Identifier: Apache-2.0
// What husk gives a freshly made husk-shim, over the SOCK_SEQPACKET socket that is the shim's
// descriptor 3.
//
//   husk -> shim   one packet: the JSON below, with the descriptors in SCM_RIGHTS in this order:
//                  control connection (after hello), then those of stdin, stdout, stderr whose flag
//                  is set
//   shim -> husk   one packet: empty text once the agent knows the shim as the container's owner;
//   else an error text
//
// If the socket closes without a packet the shim exits: husk died, or undid its work.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/base/unique_fd.hpp"

namespace husk::guestcomm {

inline constexpr int shim_handoff_fd = 3;

struct ShimHandoff {
  std::string container_id;
  bool has_stdin = false, has_stdout = false, has_stderr = false;
  /// For one message from or to the guest, however it comes: a guest that stops or drips inside of
  /// one is lost.
  std::chrono::milliseconds message_patience = std::chrono::seconds{30};
};

/// Both throw system; receive: peer_lost when husk closed the socket, invalid_argument on a wrong
/// packet.
void send_handoff(int socket, const ShimHandoff& handoff, const std::vector<int>& descriptors);
ShimHandoff receive_handoff(int socket, std::vector<UniqueFd>& descriptors);

}  // namespace husk::guestcomm
