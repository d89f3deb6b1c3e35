// SPDX-License-Identifier: Apache-2.0
// Which interfaces a VM's cards carry.
#pragma once

#include <string>
#include <vector>

#include "lib/network/contents.hpp"

namespace husk::network {

/// Every one with Ethernet frames, but: loopback, which the guest has; husk's own taps; the fallback
/// devices of tunnel modules, which are in each namespace; and the ports of a bridge or bond. Those
/// belong to it: what it gets from them is what a program in the namespace would see.
/// Throws unsupported, naming the interface, for one in use that cannot be carried.
std::vector<const Interface*> carried_interfaces(const NamespaceContents& contents);

bool is_loopback(const Interface& interface);
bool is_own_tap(const Interface& interface);
/// Whether such a kind of interface passes only those multicast groups that its own stack has
/// joined (macvlan, ipvlan, hardware): then plugging sets IFF_ALLMULTI, since it is the guest that
/// joins.
bool filters_multicast(const std::string& kind);

}  // namespace husk::network
