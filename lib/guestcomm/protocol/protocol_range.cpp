// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/protocol_range.hpp"

#include <algorithm>

#include "lib/base/error.hpp"

namespace husk::guestcomm {

std::string describe(const ProtocolRange& protocols) {
  const std::string newest = std::to_string(protocols.newest);
  return protocols.oldest == protocols.newest ? newest
                                              : std::to_string(protocols.oldest) + " to " + newest;
}

void check_range(const ProtocolRange& protocols) {
  if (protocols.oldest > 0 && protocols.oldest <= protocols.newest) return;
  throw Error(Errc::invalid_argument, "protocol " + std::to_string(protocols.oldest) + " to " +
                                          std::to_string(protocols.newest) +
                                          " is not a valid range");
}

int agree(const ProtocolRange& agent, const ProtocolRange& host) {
  const int newest = std::min(agent.newest, host.newest);
  if (newest >= std::max(agent.oldest, host.oldest)) return newest;
  throw Error(Errc::unsupported, "the guest agent speaks protocol " + describe(agent) +
                                     ", the host " + describe(host));
}

ProtocolRange agreed_range(const ProtocolRange& agent, const ProtocolRange& host) {
  return {.oldest = agent.oldest, .newest = agree(agent, host)};
}

}  // namespace husk::guestcomm
