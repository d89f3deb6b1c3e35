// SPDX-License-Identifier: Apache-2.0
// Changes to one link, over a RouteSocket of its namespace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/network/namespace.hpp"
#include "lib/network/netlink.hpp"

namespace husk::network {

struct LinkState {
  int index = 0;
  std::string name, kind, mac;
  std::uint32_t flags = 0, mtu = 0;
};

/// Returns nothing if no link has that name. Throws system.
std::optional<LinkState> find_link(const RouteSocket& socket, const std::string& name);
std::optional<LinkState> find_link(const RouteSocket& socket, int index);

/// Sets the bits of `mask` to those of `flags` (IFF_*). Throws system.
void set_link_flags(const RouteSocket& socket, int index, std::uint32_t flags, std::uint32_t mask);
void set_link_mtu(const RouteSocket& socket, int index, std::uint32_t mtu);
void move_link(const RouteSocket& socket, int index, const NetworkNamespace& to,
               const std::string& new_name);

}  // namespace husk::network
