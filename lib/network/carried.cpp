// SPDX-License-Identifier: Apache-2.0
#include "lib/network/carried.hpp"

#include <net/if.h>
#include <net/if_arp.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "lib/base/error.hpp"

namespace husk::network {
namespace {

/// The prefix of the names of husk's own taps; callers' interfaces with such a name are no taps.
constexpr std::string_view tap_prefix = "husk";

using Interfaces = std::vector<const Interface*>;

/// net.core.fb_tunnels_only_for_init_net; those without Ethernet frames need no name here.
constexpr std::array<std::string_view, 2> fallback_devices = {"gretap0", "erspan0"};

bool is_up(const Interface& i) { return (i.flags & IFF_UP) != 0; }

bool is_fallback(const Interface& i) {
  return !is_up(i) && i.addresses.empty() &&
         std::ranges::find(fallback_devices, i.name) != fallback_devices.end();
}

[[noreturn]] void refuse(const Interface& i, const std::string& why) {
  throw Error(Errc::unsupported, "network interface " + i.name + ": " + why);
}

bool is_carried(const Interface& i) {
  if (is_loopback(i) || is_own_tap(i) || i.master != 0 || is_fallback(i)) return false;
  if (i.type == ARPHRD_ETHER) return true;
  if (is_up(i))
    refuse(i, (i.kind.empty() ? "it" : i.kind) +
                  " carries no Ethernet frames, which a VM's card needs");
  return false;
}

/// Frames that arrive at the lower interface go to the VM before the kernel looks whose they are.
void refuse_stacked(const Interface& i, const Interfaces& carried) {
  const auto parent = std::ranges::find(carried, i.parent, &Interface::index);
  if (i.parent == 0 || i.kind == "veth" || parent == carried.end()) return;
  refuse(i, "a " + i.kind + " on " + (*parent)->name +
                " in the same namespace, which passes all its frames to the VM");
}

void refuse_wrong_kinds(const Interface& i) {
  if (i.kind == "vrf") refuse(i, "a vrf applies to the routes of the host's kernel only");
  if (i.is_routed_by_netfilter)
    refuse(i, "an ipvlan in mode l3s receives no frames; use mode l2 or l3");
}

}  // namespace

bool is_loopback(const Interface& interface) { return (interface.flags & IFF_LOOPBACK) != 0; }

bool is_own_tap(const Interface& interface) {
  return interface.kind == "tun" && interface.name.starts_with(tap_prefix);
}

bool filters_multicast(const std::string& kind) {
  return kind != "veth" && kind != "bridge" && kind != "tun" && kind != "dummy";
}

Interfaces carried_interfaces(const NamespaceContents& contents) {
  Interfaces carried;
  for (const Interface& i : contents.interfaces)
    if (is_carried(i)) carried.push_back(&i);
  for (const Interface* i : carried) {
    refuse_wrong_kinds(*i);
    refuse_stacked(*i, carried);
  }
  return carried;
}

}  // namespace husk::network
