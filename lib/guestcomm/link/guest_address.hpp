// SPDX-License-Identifier: Apache-2.0
// How a guest is reached: AF_VSOCK (kernel vhost-vsock), or a Unix socket that speaks the hybrid
// protocol ("CONNECT <port>\n" / "OK ...\n") of vhost-device-vsock and Cloud Hypervisor.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <thread>
#include <variant>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/link/source_port.hpp"

namespace husk::guestcomm {

struct VsockAddress {
  std::uint32_t cid = 0;
  /// The agent serves root from any port (any_port_protocol). False for agents of husk's earlier releases.
  bool any_port = false;
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
  GuestConnection(const GuestAddress& address, std::uint32_t port, const Deadline& deadline,
                  SourcePort source = SourcePort::privileged);
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
                       std::chrono::milliseconds patience,
                       SourcePort source = SourcePort::privileged);

/// The address, of a guest whose agent turned out to speak `protocol`.
GuestAddress with_protocol(GuestAddress address, int protocol);

/// The source port to try first.
SourcePort first_source(const GuestAddress& address);

/// Whether an attempt from first_source() may have been lost to other users of the host. They can open so many
/// connections that the agent drops root's, but none from a privileged port.
bool is_crowded_out(const GuestAddress& address, const Error& lost);

/// Calls `attempt` for a privileged port, again for a moment while the guest's kernel has no room in its queue.
template <typename Attempt>
auto reach_privileged(Attempt&& attempt) {
  const Deadline crowded(std::chrono::seconds{1});
  for (;;) {
    try {
      return attempt(SourcePort::privileged);
    } catch (const Error& lost) {
      if (lost.sys_errno() != ECONNRESET || crowded.passed()) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
}

/// Returns what `attempt` returns, which makes a connection from a source port of the kind given and has the
/// agent recognise it. Calls `attempt` again for a privileged port if is_crowded_out(). Throws what `attempt` throws.
template <typename Attempt>
auto reach_guest(const GuestAddress& address, Attempt&& attempt) {
  try {
    return attempt(first_source(address));
  } catch (const Error& lost) {
    if (!is_crowded_out(address, lost)) throw;
  }
  return reach_privileged(attempt);
}

/// Whether this host has a usable /dev/vhost-vsock.
bool has_vhost_vsock();

}  // namespace husk::guestcomm
