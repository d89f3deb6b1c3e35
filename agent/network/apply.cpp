// SPDX-License-Identifier: Apache-2.0
#include "agent/network/apply.hpp"

#include <algorithm>

#include "agent/network/address.hpp"
#include "agent/network/links.hpp"
#include "agent/network/routes.hpp"
#include "agent/network/sysctls.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/trace.hpp"

namespace husk::agent {
namespace {

using guestcomm::Network;
using guestcomm::NetworkLink;

constexpr const char* reserved_ports = "ipv4/ip_local_reserved_ports";

bool is_for(const NetworkLink& link, const Card& card) {
  return !link.device.empty() && canonical_mac(link.device) == card.device;
}

void remove_unwanted(const Network& wanted, Cards& cards) {
  for (const Card& card : cards.list()) {
    const bool is_wanted =
        std::ranges::any_of(wanted.links, [&](const auto& link) { return is_for(link, card); });
    if (!is_wanted) step("remove card " + card.device, [&] { cards.remove(card); });
  }
}

std::string address_mode_of(const std::string& link) {
  return "ipv6/conf/" + link + "/addr_gen_mode";
}

/// The wanted sysctls, but for those that a container set, and what is not done by writing.
Sysctls wanted_sysctls(const Network& wanted, const std::set<std::string>& kept) {
  Sysctls sysctls = wanted.sysctls;
  for (const NetworkLink& link : wanted.links) {
    sysctls.erase(address_mode_of(link.name));  // apply_address_modes
    // No router is asked for anything that the host does not ask for.
    if (!link.device.empty()) sysctls.try_emplace("ipv6/conf/" + link.name + "/accept_ra", "0");
  }
  sysctls.erase(reserved_ports);
  for (const std::string& name : kept) sysctls.erase(name);
  return sysctls;
}

/// The settings of links that are there by now: the others' links come later.
Sysctls of_links(const Sysctls& all) {
  Sysctls made;
  for (const auto& [name, value] : all)
    if (!link_of_sysctl(name).empty()) made.emplace(name, value);
  return made;
}

std::map<int, std::uint8_t> address_modes(const PlacedLinks& links, const Network& wanted) {
  std::map<int, std::uint8_t> modes;
  for (const auto& [index, link] : links) {
    const auto found = wanted.sysctls.find(address_mode_of(link.name));
    if (found == wanted.sysctls.end() || found->second.size() != 1) continue;
    modes[index] = static_cast<std::uint8_t>(found->second[0] - '0');
  }
  return modes;
}

std::optional<std::string> wanted_ports(const Network& wanted, const std::set<std::string>& kept) {
  const auto found = wanted.sysctls.find(reserved_ports);
  if (found == wanted.sysctls.end() || kept.contains(reserved_ports)) return {};
  return found->second;
}

bool is_inet6(const std::string& address) { return address.find(':') != std::string::npos; }

bool has_inet6(const std::string& link) {
  const std::string path = "/proc/sys/net/ipv6/conf/" + link + "/disable_ipv6";
  try {
    return read_file(path, 64).starts_with('0');
  } catch (const Error& error) {
    if (error.sys_errno() != ENOENT) throw;
    return false;
  }
}

/// A container switched IPv6 off for itself (sysctl): the wanted addresses and routes of IPv6 cannot be there.
void drop_inet6(Network& wanted, NetworkLink& link) {
  const auto drop = [](auto& list) {
    return std::erase_if(list, [](const auto& one) { return is_inet6(one.address); });
  };
  auto dropped = drop(link.addresses) + drop(link.neighbours);
  for (auto& route : wanted.routes) {
    if (!is_inet6(route.destination) || route.hops.empty()) continue;
    dropped += std::erase_if(route.hops, [&](const auto& hop) { return hop.link == link.name; });
  }
  dropped += std::erase_if(wanted.routes, [](const auto& route) {
    return route.hops.empty() && is_inet6(route.destination) && route.type == 1;
  });
  if (dropped != 0)
    log(LogLevel::info, "link " + link.name + ": IPv6 is disabled, its settings are skipped");
}

void apply_links(const NetlinkSocket& socket, const PlacedLinks& links, const Sysctls& sysctls) {
  apply_names(socket, links);
  // disable_ipv6 and accept_ra before a link goes up; the others' turn is after it, as some of them
  // follow from that.
  apply_network_sysctls(of_links(sysctls));
  apply_flags(socket, links);
  apply_network_sysctls(sysctls);
}

void apply_contents(const NetlinkSocket& socket, Network wanted, const PlacedLinks& links) {
  for (NetworkLink& link : wanted.links)
    if (!has_inet6(link.name)) drop_inet6(wanted, link);
  for (const auto& [index, placed] : links) {
    const auto link = std::ranges::find(wanted.links, placed.name, &NetworkLink::name);
    step("link " + placed.name, [&, number = index] {
      apply_addresses(socket, number, *link);
      apply_neighbours(socket, number, *link);
    });
  }
  apply_routes(socket, wanted);
  apply_rules(socket, wanted.rules);
}

}  // namespace

std::vector<std::string> missing_cards(const Network& wanted, Cards& cards) {
  std::vector<std::string> missing;
  const std::vector<Card> there = cards.list();
  for (const NetworkLink& link : wanted.links) {
    const bool is_there =
        std::ranges::any_of(there, [&](const auto& card) { return is_for(link, card); });
    if (!link.device.empty() && !is_there) missing.push_back(link.name);
  }
  return missing;
}

void apply_network(const Network& wanted, Cards& cards, const std::set<std::string>& kept) {
  step("network", [&] {
    Laps laps;
    const NetlinkSocket socket;
    remove_unwanted(wanted, cards);
    const PlacedLinks links = place_links(socket, wanted.links, cards.list());
    laps.end("find cards");
    reserve_host_ports(wanted_ports(wanted, kept));
    laps.end("reserved ports");
    apply_links(socket, links, wanted_sysctls(wanted, kept));
    laps.end("links and sysctls");
    apply_contents(socket, wanted, links);
    laps.end("addresses, routes and rules");
    apply_address_modes(socket, links, address_modes(links, wanted));
  });
}

}  // namespace husk::agent
