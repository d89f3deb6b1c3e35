// SPDX-License-Identifier: Apache-2.0
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/ipvlan.h>
#include <netlink/route/neighbour.h>

#include <algorithm>
#include <array>

#include "lib/network/read_parts.hpp"

namespace husk::network {
namespace {

using Cache = std::unique_ptr<nl_cache, decltype(&nl_cache_free)>;
using guestcomm::LinkAddress;
using guestcomm::Neighbour;

/// Calls `f` with each object of the cache, whose type the caller knows.
template <typename T, typename F>
void for_each(nl_cache* raw, F&& f) {
  const Cache cache{raw, &nl_cache_free};
  for (nl_object* o = nl_cache_get_first(raw); o != nullptr; o = nl_cache_get_next(o))
    f(*reinterpret_cast<T*>(o));
}

/// An address as libnl writes it; empty: none.
std::string text_of(nl_addr* address) {
  std::array<char, 128> buffer{};
  return address == nullptr ? "" : nl_addr2str(address, buffer.data(), buffer.size());
}

/// libnl's own text has no prefix length where that covers the whole address.
std::string with_prefix(nl_addr* address) {
  if (address == nullptr) return {};
  return address_text(nl_addr_get_family(address), nl_addr_get_binary_addr(address)) + "/" +
         std::to_string(nl_addr_get_prefixlen(address));
}

std::string text_or_none(const char* text) { return text == nullptr ? "" : text; }

bool is_ipvlan_l3s(rtnl_link& link) {
  std::uint16_t mode = 0;
  return rtnl_link_is_ipvlan(&link) != 0 && rtnl_link_ipvlan_get_mode(&link, &mode) == 0 &&
         mode == IPVLAN_MODE_L3S;
}

Interface interface_of(rtnl_link& link) {
  Interface i;
  i.index = rtnl_link_get_ifindex(&link);
  i.master = rtnl_link_get_master(&link);
  std::int32_t other_namespace = 0;
  if (rtnl_link_get_link_netnsid(&link, &other_namespace) < 0) i.parent = rtnl_link_get_link(&link);
  i.name = text_or_none(rtnl_link_get_name(&link));
  i.kind = text_or_none(rtnl_link_get_type(&link));
  i.type = static_cast<std::uint16_t>(rtnl_link_get_arptype(&link));
  i.flags = rtnl_link_get_flags(&link);
  if (i.type == ARPHRD_ETHER) i.mac = text_of(rtnl_link_get_addr(&link));
  i.mtu = rtnl_link_get_mtu(&link);
  i.queue_length = rtnl_link_get_txqlen(&link);
  i.is_routed_by_netfilter = is_ipvlan_l3s(link);
  return i;
}

/// The flags that the address is made with again. One that is known to be nobody else's needs no second
/// search for its owner in the guest: under runc the container can use it at once.
std::uint32_t address_flags(std::uint32_t flags, int family) {
  constexpr std::uint32_t settable = IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR |
                                     IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;
  const bool is_checked = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) == 0;
  return (flags & settable) | (family == AF_INET6 && is_checked ? IFA_F_NODAD : 0);
}

LinkAddress address_of(rtnl_addr& object) {
  LinkAddress a;
  nl_addr* local = rtnl_addr_get_local(&object);
  a.address = with_prefix(local);
  a.peer = with_prefix(rtnl_addr_get_peer(&object));
  a.broadcast = text_of(rtnl_addr_get_broadcast(&object));
  a.label = text_or_none(rtnl_addr_get_label(&object));
  a.scope = static_cast<std::uint8_t>(rtnl_addr_get_scope(&object));
  a.flags = address_flags(rtnl_addr_get_flags(&object), nl_addr_get_family(local));
  a.valid_lifetime = rtnl_addr_get_valid_lifetime(&object);
  a.preferred_lifetime = rtnl_addr_get_preferred_lifetime(&object);
  return a;
}

Interface* find_interface(std::vector<Interface>& interfaces, int index) {
  const auto found = std::ranges::find(interfaces, index, &Interface::index);
  return found == interfaces.end() ? nullptr : &*found;
}

/// Whether someone set it: a neighbour that the kernel found is for the guest to find itself.
bool is_set(rtnl_neigh& neighbour) {
  return rtnl_neigh_get_state(&neighbour) == NUD_PERMANENT ||
         (rtnl_neigh_get_flags(&neighbour) & NTF_PROXY) != 0;
}

Neighbour neighbour_of(rtnl_neigh& object) {
  Neighbour n;
  n.address = text_of(rtnl_neigh_get_dst(&object));
  n.flags = static_cast<std::uint8_t>(rtnl_neigh_get_flags(&object));
  if ((n.flags & NTF_PROXY) != 0) return n;
  n.mac = text_of(rtnl_neigh_get_lladdr(&object));
  n.state = static_cast<std::uint16_t>(rtnl_neigh_get_state(&object));
  return n;
}

void add_neighbour(nlmsghdr& message, std::vector<Interface>& interfaces) {
  rtnl_neigh* raw = nullptr;
  check_nl(rtnl_neigh_parse(&message, &raw), "a neighbour");
  const std::unique_ptr<rtnl_neigh, decltype(&rtnl_neigh_put)> neighbour{raw, &rtnl_neigh_put};
  Interface* owner = find_interface(interfaces, rtnl_neigh_get_ifindex(raw));
  if (owner != nullptr && is_set(*raw)) owner->neighbours.push_back(neighbour_of(*raw));
}

}  // namespace

std::vector<Interface> read_interfaces(const RouteSocket& socket) {
  nl_cache* cache = nullptr;
  check_nl(rtnl_link_alloc_cache(socket.get(), AF_UNSPEC, &cache), "interfaces");
  std::vector<Interface> interfaces;
  for_each<rtnl_link>(cache, [&](rtnl_link& l) { interfaces.push_back(interface_of(l)); });
  std::ranges::sort(interfaces, {}, &Interface::index);
  return interfaces;
}

void read_addresses(const RouteSocket& socket, std::vector<Interface>& interfaces) {
  nl_cache* cache = nullptr;
  check_nl(rtnl_addr_alloc_cache(socket.get(), &cache), "addresses");
  for_each<rtnl_addr>(cache, [&](rtnl_addr& a) {
    if (Interface* owner = find_interface(interfaces, rtnl_addr_get_ifindex(&a)))
      owner->addresses.push_back(address_of(a));
  });
}

void read_neighbours(const RouteSocket& socket, std::vector<Interface>& interfaces) {
  for (const int family : {AF_INET, AF_INET6}) {
    for (const std::uint8_t flags : {std::uint8_t{0}, std::uint8_t{NTF_PROXY}}) {
      const NetlinkMessage request = make_message(RTM_GETNEIGH, NLM_F_DUMP);
      ndmsg header{};
      header.ndm_family = static_cast<std::uint8_t>(family);
      header.ndm_flags = flags;
      check_nl(nlmsg_append(request.get(), &header, sizeof header, NLMSG_ALIGNTO), "neighbours");
      for (const NetlinkReply& reply : socket.dump(*request, "neighbours"))
        add_neighbour(reply.header(), interfaces);
    }
  }
}

}  // namespace husk::network
