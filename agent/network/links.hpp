// SPDX-License-Identifier: Apache-2.0
// Links, and what each has: names, flags, addresses, neighbours.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/network/cards.hpp"
#include "agent/network/netlink.hpp"
#include "lib/guestcomm/protocol/network.hpp"

namespace husk::agent {

/// A link of this kernel.
struct Link {
  int index = 0;
  std::string name, mac, permanent_mac;
  std::uint32_t mtu = 0, queue_length = 0, flags = 0;
  bool has_inet6 = false, is_inet6_ready = false;
  std::uint8_t address_mode = 0;  ///< IN6_ADDR_GEN_MODE_*
};

std::vector<Link> load_links(const NetlinkSocket& socket);

/// The wanted links, by their index here.
using PlacedLinks = std::map<int, guestcomm::NetworkLink>;

/// Finds the wanted link of each card, loopback among them. Throws not_found for a card that is
/// missing, invalid_argument for two links on one.
PlacedLinks place_links(const NetlinkSocket& socket,
                        const std::vector<guestcomm::NetworkLink>& want,
                        const std::vector<Card>& cards);

/// Names, MAC, MTU and queue; those to be renamed are taken down.
void apply_names(const NetlinkSocket& socket, const PlacedLinks& want);
/// Up or down, and so on. The kernel makes no IPv6 address by itself for one that goes up.
void apply_flags(const NetlinkSocket& socket, const PlacedLinks& want);
/// Sets what each link does when it goes up once more (IN6_ADDR_GEN_MODE_*), by its index; the kernel's usual
/// for those not named. One that is up, but not ready yet, would make an address when it is: it
/// makes none for ever.
void apply_address_modes(const NetlinkSocket& socket, const PlacedLinks& want,
                         const std::map<int, std::uint8_t>& modes);

void apply_addresses(const NetlinkSocket& socket, int index, const guestcomm::NetworkLink& want);
void apply_neighbours(const NetlinkSocket& socket, int index, const guestcomm::NetworkLink& want);

}  // namespace husk::agent
