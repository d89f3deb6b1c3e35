// SPDX-License-Identifier: Apache-2.0
// The guest's network as the host has it: whole, by the difference to what is there.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent/network/cards.hpp"
#include "lib/guestcomm/protocol/network.hpp"

namespace husk::agent {

/// The names of links of the wanted network whose cards are not there (yet).
std::vector<std::string> missing_cards(const guestcomm::Network& wanted, Cards& cards);

/// Makes this network namespace the wanted network: changes nothing that is right, and removes cards
/// that it does not name. Links that are no cards, which a container may have made, are left alone
/// with what is on them. `kept`: sysctls (below /proc/sys/net) that a container set itself. Takes a
/// few milliseconds. Throws Error, "network: " and which link or route; then part of it is done,
/// and it may be repeated.
void apply_network(const guestcomm::Network& wanted, Cards& cards,
                   const std::set<std::string>& kept = {});

}  // namespace husk::agent
