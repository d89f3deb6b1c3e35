// SPDX-License-Identifier: Apache-2.0
// The host's end of the agent's announcement: no polling, the guest says when it listens.
#pragma once

#include <chrono>
#include <cstdint>

#include "lib/guestcomm/link/guest_address.hpp"
#include "lib/guestcomm/protocol/protocol_range.hpp"

namespace husk::guestcomm {

/// Listens from construction on; make it before the VM starts.
class Announcement {
 public:
  virtual ~Announcement() = default;
  /// The AF_VSOCK port for husk.announce= on the guest's kernel command line.
  virtual std::uint32_t port() const = 0;
  /// Waits until the guest at `address` announced itself. Connections from another CID are dropped, and however
  /// many there are, they make no wait longer than `patience`.
  /// Returns the protocols that the agent speaks. Throws timed_out, or peer_lost as soon as `vm_gone_fd`
  /// (a pidfd of the VM's process, -1 for none) becomes readable, or invalid_argument for a wrong
  /// announcement.
  virtual ProtocolRange wait(const GuestAddress& address, int vm_gone_fd,
                             std::chrono::milliseconds patience) = 0;
};

}  // namespace husk::guestcomm
