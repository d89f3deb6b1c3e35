// SPDX-License-Identifier: Apache-2.0
// How a guest is reached: AF_VSOCK (kernel vhost-vsock), or a Unix socket that speaks the hybrid
// protocol ("CONNECT <port>\n" / "OK ...\n") of vhost-device-vsock and Cloud Hypervisor.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>

#include "lib/base/deadline.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::guestcomm {

struct VsockAddress {
  std::uint32_t cid = 0;
  friend bool operator==(const VsockAddress&, const VsockAddress&) = default;
};
struct HybridAddress {
  std::string socket_path;  ///< absolute; may be longer than sun_path allows
  friend bool operator==(const HybridAddress&, const HybridAddress&) = default;
};
using GuestAddress = std::variant<VsockAddress, HybridAddress>;

/// All it takes to be served by a guest's agent.
struct GuestAccess {
  GuestAddress address;
  std::string secret;  ///< 32 hex digits; for root's eyes only
};

void to_json(nlohmann::json& json, const GuestAddress& address);  // kept in vm.json
void from_json(const nlohmann::json& json, GuestAddress& address);

/// A connection to `port` in the guest that is on its way, so that several can be at once: each of their round trips
/// takes the time of one. One attempt, bounded by the deadline. Making and finishing it throw peer_lost when nobody
/// answers (VM gone, agent not listening), timed_out.
class GuestConnection {
 public:
  GuestConnection(const GuestAddress& address, std::uint32_t port, const Deadline& deadline);
  /// Waits for it. The socket is blocking and close-on-exec.
  UniqueFd finish();

 private:
  std::string doing_;  ///< for errors
  Deadline deadline_;
  UniqueFd socket_;
  bool is_hybrid_;
};

/// The same, begun and finished.
UniqueFd connect_guest(const GuestAddress& address, std::uint32_t port,
                       std::chrono::milliseconds patience);

/// Whether this host has a usable /dev/vhost-vsock.
bool has_vhost_vsock();

}  // namespace husk::guestcomm
