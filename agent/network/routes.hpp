// SPDX-License-Identifier: Apache-2.0
// Routes and the rules that choose between their tables.
#pragma once

#include <vector>

#include "agent/network/netlink.hpp"
#include "lib/guestcomm/protocol/network.hpp"

namespace husk::agent {

/// Routes of all tables, without the ones that follow from addresses ("local") or were learnt. Routes over links
/// that `wanted` does not name are left alone: a container may have made them.
void apply_routes(const NetlinkSocket& socket, const guestcomm::Network& wanted);

void apply_rules(const NetlinkSocket& socket, const std::vector<guestcomm::Rule>& want);

}  // namespace husk::agent
