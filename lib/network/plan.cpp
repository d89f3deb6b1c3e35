// SPDX-License-Identifier: Apache-2.0
#include "lib/network/plan.hpp"

#include <net/if.h>

#include <algorithm>
#include <set>

#include "lib/base/error.hpp"
#include "lib/network/carried.hpp"

namespace husk::network {
namespace {

using guestcomm::Network;
using guestcomm::NetworkLink;
using guestcomm::NextHop;
using guestcomm::Route;
using Interfaces = std::vector<const Interface*>;
using Names = std::set<std::string>;

NetworkCard take_free(std::vector<NetworkCard>& free, std::size_t needed, std::size_t present) {
  if (free.empty())
    throw Error(Errc::invalid_argument, "the network namespace has " + std::to_string(needed) +
                                            " interfaces, the VM has " + std::to_string(present) +
                                            " network cards");
  NetworkCard card = free.front();
  free.erase(free.begin());
  return card;
}

/// Fills plan.plugs and plan.unused.
void deal_cards(const Interfaces& carried, const std::vector<NetworkCard>& cards,
                NetworkPlan& plan) {
  const auto card_of = [&](int index) {
    return std::ranges::find(cards, index, &NetworkCard::interface);
  };
  for (NetworkCard card : cards) {
    if (std::ranges::find(carried, card.interface, &Interface::index) != carried.end()) continue;
    card.interface = 0;
    plan.unused.push_back(card);
  }
  for (const Interface* i : carried) {
    const auto own = card_of(i->index);
    NetworkCard card =
        own != cards.end() ? *own : take_free(plan.unused, carried.size(), cards.size());
    card.interface = i->index;
    plan.plugs.push_back({i->index, i->name, card});
  }
}

/// IFF_ALLMULTI, where plugging sets it, says nothing about the container.
std::uint32_t guest_flags(const Interface& i) {
  constexpr std::uint32_t told = IFF_UP | IFF_NOARP | IFF_MULTICAST | IFF_ALLMULTI | IFF_PROMISC;
  return i.flags & told & ~(filters_multicast(i.kind) ? std::uint32_t{IFF_ALLMULTI} : 0U);
}

NetworkLink link_of(const Interface& i, const std::string& device) {
  return {.name = i.name,
          .device = device,
          .mac = i.mac,
          .mtu = i.mtu,
          .queue_length = i.queue_length,
          .flags = guest_flags(i),
          .addresses = i.addresses,
          .neighbours = i.neighbours};
}

/// Removes the hops over links that the guest does not have; false if none is left.
bool keep_hops(Route& route, const Names& links) {
  if (route.hops.empty()) return true;
  std::erase_if(route.hops,
                [&](const NextHop& hop) { return !hop.link.empty() && !links.contains(hop.link); });
  return !route.hops.empty();
}

/// "eth0" of "ipv6/conf/eth0/mtu"; empty for others.
std::string link_of_sysctl(const std::string& name) {
  const std::size_t begin = name.find("/conf/");
  const std::size_t end = name.rfind('/');
  if (begin == std::string::npos || end < begin + 6) return {};
  return name.substr(begin + 6, end - begin - 6);
}

void add_routes_and_sysctls(const NamespaceContents& contents, Names links, Network& network) {
  for (Route route : contents.routes)
    if (keep_hops(route, links)) network.routes.push_back(std::move(route));
  links.insert({"all", "default", ""});
  for (const auto& [name, value] : contents.sysctls)
    if (links.contains(link_of_sysctl(name))) network.sysctls[name] = value;
}

}  // namespace

std::size_t cards_needed(const NamespaceContents& contents) {
  return carried_interfaces(contents).size();
}

NetworkPlan plan_network(const NamespaceContents& contents, const std::vector<NetworkCard>& cards) {
  NetworkPlan plan;
  const Interfaces carried = carried_interfaces(contents);
  deal_cards(carried, cards, plan);
  Names links;
  for (const Interface& i : contents.interfaces)
    if (is_loopback(i)) plan.network.links.push_back(link_of(i, ""));
  for (std::size_t n = 0; n < carried.size(); ++n)
    plan.network.links.push_back(link_of(*carried[n], plan.plugs[n].card.mac));
  for (const NetworkLink& link : plan.network.links) links.insert(link.name);
  add_routes_and_sysctls(contents, std::move(links), plan.network);
  plan.network.rules = contents.rules;
  plan.network.has_dns = contents.has_dns;
  return plan;
}

}  // namespace husk::network
