// SPDX-License-Identifier: Apache-2.0
// The spans that the guest recorded, among the host's.
#pragma once

#include "lib/guestcomm/link/agent_client.hpp"

namespace husk::runtime {

/// Where a trace is made: adds the guest's spans that belong to it, with the host's times. What does not work is a
/// warning.
void trace_guest(guestcomm::AgentClient& agent) noexcept;

}  // namespace husk::runtime
