// SPDX-License-Identifier: Apache-2.0
// Which interfaces of a network namespace a VM carries, and on which card. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lib/network/contents.hpp"

namespace husk::network {

/// A card of the VM, and its end on the host.
struct NetworkCard {
  std::string mac;    ///< as it was made
  std::string tap;    ///< the tap device's name
  int interface = 0;  ///< index of the interface that it serves already; 0: none
  bool operator==(const NetworkCard&) const = default;
};

struct PlannedPlug {
  int index = 0;  ///< of the interface
  std::string interface;
  NetworkCard card;
  bool operator==(const PlannedPlug&) const = default;
};

struct NetworkPlan {
  std::vector<PlannedPlug> plugs;   ///< those that are there already as well
  std::vector<NetworkCard> unused;  ///< free, or their interface is gone
  guestcomm::Network network;       ///< for the guest
};

/// How many cards the VM must have. Throws unsupported, naming the interface, for one that no card
/// can carry.
std::size_t cards_needed(const NamespaceContents& contents);

/// A card goes on serving its interface; other interfaces get the free cards, in order. Throws as
/// cards_needed does, and invalid_argument if there are too few cards.
NetworkPlan plan_network(const NamespaceContents& contents, const std::vector<NetworkCard>& cards);

}  // namespace husk::network
