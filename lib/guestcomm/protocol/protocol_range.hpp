// SPDX-License-Identifier: Apache-2.0
// Which versions of the protocol the host and the agent speak.
#pragma once

#include <string>

namespace husk::guestcomm {

/// Both ends included.
struct ProtocolRange {
  int oldest = 0, newest = 0;
  bool operator==(const ProtocolRange&) const = default;
};

/// This build's. The newest goes up with each change that the other side must know of. The oldest stays until
/// no VM can run that was started by a release that speaks it, or what it needs is given up.
inline constexpr ProtocolRange own_protocols{3, 8};

/// From this one on an agent whose vsock device is the host's kernel serves root from any source port.
inline constexpr int any_port_protocol = 6;

/// From this one on who owns a container's first process is told of kills for want of memory (ContainerEvent).
inline constexpr int kill_protocol = 6;

/// From this one on the host can correct the guest's clock (clock.hpp).
inline constexpr int clock_protocol = 7;

/// From this one on a VM that has booted for nobody can be given to a container (ClaimVm).
inline constexpr int claim_protocol = 8;

/// "3", or "3 to 5".
std::string describe(const ProtocolRange& protocols);

/// Throws invalid_argument unless it is a range of positive numbers.
void check_range(const ProtocolRange& protocols);

/// The newest that both speak. Throws unsupported "the guest agent speaks protocol 1 to 2, the host 3 to 5".
int agree(const ProtocolRange& agent, const ProtocolRange& host);

/// The agent's answer to a host that says `host`: what the agent speaks, up to the protocol of agree(), which
/// is the lower of the two newest. Throws as agree().
ProtocolRange agreed_range(const ProtocolRange& agent, const ProtocolRange& host);

}  // namespace husk::guestcomm
