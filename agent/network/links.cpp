// SPDX-License-Identifier: Apache-2.0
#include "agent/network/links.hpp"

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>

#include "agent/network/address.hpp"
#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

using guestcomm::NetworkLink;

constexpr std::uint32_t told_flags =
    IFF_UP | IFF_NOARP | IFF_MULTICAST | IFF_ALLMULTI | IFF_PROMISC;
constexpr std::uint8_t no_addresses = IN6_ADDR_GEN_MODE_NONE;
constexpr std::uint8_t usual_addresses = IN6_ADDR_GEN_MODE_EUI64;

NetlinkMessage change_of(int index, std::uint32_t flags = 0, std::uint32_t changed = 0) {
  ifinfomsg header{};
  header.ifi_index = index;
  header.ifi_flags = flags;
  header.ifi_change = changed;
  return {RTM_NEWLINK, 0, header};
}

/// IFLA_AF_SPEC { AF_INET6 { IFLA_INET6_ADDR_GEN_MODE } }; not there where the link has no IPv6.
void read_inet6(const Attributes& attributes, Link& link) {
  const nlattr* const families = attributes[IFLA_AF_SPEC];
  const nlattr* const inet6 = families == nullptr ? nullptr : Attributes(*families)[AF_INET6];
  link.has_inet6 = inet6 != nullptr && Attributes(*inet6).has(IFLA_INET6_ADDR_GEN_MODE);
  if (!link.has_inet6) return;
  constexpr std::uint32_t ready = 0x80000000;  // IF_READY of the kernel's net/if_inet6.h
  link.is_inet6_ready = (Attributes(*inet6).number<std::uint32_t>(IFLA_INET6_FLAGS) & ready) != 0;
  link.address_mode = Attributes(*inet6).number<std::uint8_t>(IFLA_INET6_ADDR_GEN_MODE);
}

void put_address_mode(NetlinkMessage& message, std::uint8_t mode) {
  message.put_nested(IFLA_AF_SPEC, [&] {
    message.put_nested(AF_INET6, [&] { message.put_number(IFLA_INET6_ADDR_GEN_MODE, mode); });
  });
}

Link link_of(const NetlinkReply& reply) {
  const auto& header = reply.header<ifinfomsg>();
  const Attributes attributes = reply.attributes<ifinfomsg>();
  Link link{.index = header.ifi_index,
            .name = attributes.text(IFLA_IFNAME),
            .mac = mac_text(attributes[IFLA_ADDRESS]),
            .permanent_mac = mac_text(attributes[IFLA_PERM_ADDRESS]),
            .mtu = attributes.number<std::uint32_t>(IFLA_MTU),
            .queue_length = attributes.number<std::uint32_t>(IFLA_TXQLEN),
            .flags = header.ifi_flags};
  read_inet6(attributes, link);
  return link;
}

const Link& find_link(const std::vector<Link>& links, int index) {
  const auto found = std::ranges::find(links, index, &Link::index);
  if (found == links.end()) throw Error(Errc::not_found, "the link is gone");
  return *found;
}

void rename(const NetlinkSocket& socket, int index, const std::string& name) {
  step("link " + name, [&] {
    NetlinkMessage message = change_of(index, 0, IFF_UP);  // kernels before 6.2 want it down
    socket.change(message);
    NetlinkMessage renaming = change_of(index);
    renaming.put_text(IFLA_IFNAME, name);
    socket.change(renaming);
  });
}

/// Names may be swapped between cards, so those that change are given up first.
void rename_links(const NetlinkSocket& socket, const PlacedLinks& want) {
  const std::vector<Link> links = load_links(socket);
  const auto is_right = [&](const auto& placed) {
    return find_link(links, placed.first).name == placed.second.name;
  };
  for (const auto& placed : want)
    if (!is_right(placed)) rename(socket, placed.first, "husk-" + std::to_string(placed.first));
  for (const auto& placed : want)
    if (!is_right(placed)) rename(socket, placed.first, placed.second.name);
}

void apply_properties(const NetlinkSocket& socket, const Link& have, const NetworkLink& want) {
  NetlinkMessage message = change_of(have.index);
  const std::string mac = canonical_mac(want.mac);
  const bool has_mac = mac.empty() || mac == have.mac;
  const bool has_mtu = want.mtu == 0 || want.mtu == have.mtu;
  if (has_mac && has_mtu && want.queue_length == have.queue_length) return;
  if (!has_mac) {
    const std::vector<std::uint8_t> bytes = parse_mac(mac);
    message.put(IFLA_ADDRESS, bytes.data(), bytes.size());
  }
  if (!has_mtu) message.put_number(IFLA_MTU, want.mtu);
  if (want.queue_length != have.queue_length) message.put_number(IFLA_TXQLEN, want.queue_length);
  socket.change(message);
}

void set_address_mode(const NetlinkSocket& socket, const Link& link, std::uint8_t mode) {
  NetlinkMessage message = change_of(link.index);
  put_address_mode(message, mode);
  socket.change(message);
}

void set_flags(const NetlinkSocket& socket, const Link& have, std::uint32_t flags) {
  const std::uint32_t changed = (have.flags ^ flags) & told_flags;
  if (changed == 0) return;
  if (have.has_inet6 && (changed & flags & IFF_UP) != 0)
    set_address_mode(socket, have, no_addresses);
  socket.change(change_of(have.index, flags, changed));
}

}  // namespace

std::vector<Link> load_links(const NetlinkSocket& socket) {
  std::vector<Link> links;
  for (const NetlinkReply& reply : socket.dump(RTM_GETLINK, ifinfomsg{}))
    links.push_back(link_of(reply));
  return links;
}

PlacedLinks place_links(const NetlinkSocket& socket, const std::vector<NetworkLink>& want,
                        const std::vector<Card>& cards) {
  PlacedLinks placed;
  const std::vector<Link> links = load_links(socket);
  for (const NetworkLink& link : want) {
    int index = 0;
    if (link.device.empty()) {
      for (const Link& one : links)
        if ((one.flags & IFF_LOOPBACK) != 0) index = one.index;
    } else {
      const auto found = std::ranges::find(cards, canonical_mac(link.device), &Card::device);
      if (found != cards.end()) index = found->index;
    }
    if (index == 0)
      throw Error(Errc::not_found, "link " + link.name + ": there is no card " + link.device);
    if (!placed.emplace(index, link).second)
      throw Error(Errc::invalid_argument,
                  "link " + link.name + ": its card belongs to another link");
  }
  return placed;
}

void apply_names(const NetlinkSocket& socket, const PlacedLinks& want) {
  rename_links(socket, want);
  const std::vector<Link> links = load_links(socket);
  for (const auto& [index, link] : want)
    step("link " + link.name, [&, number = index, &wanted = link] {
      apply_properties(socket, find_link(links, number), wanted);
    });
}

void apply_flags(const NetlinkSocket& socket, const PlacedLinks& want) {
  const std::vector<Link> links = load_links(socket);
  for (const auto& [index, wanted] : want) {
    const Link& have = find_link(links, index);
    step("link " + wanted.name,
         [&, flags = wanted.flags & told_flags] { set_flags(socket, have, flags); });
  }
}

void apply_address_modes(const NetlinkSocket& socket, const PlacedLinks& want,
                         const std::map<int, std::uint8_t>& modes) {
  for (const Link& have : load_links(socket)) {
    if (!want.contains(have.index) || !have.has_inet6) continue;
    if ((have.flags & IFF_UP) != 0 && !have.is_inet6_ready) continue;
    const auto found = modes.find(have.index);
    const std::uint8_t mode = found == modes.end() ? usual_addresses : found->second;
    // Set this way and not by the sysctl, the kernel makes no address now.
    if (have.address_mode != mode) set_address_mode(socket, have, mode);
  }
}

}  // namespace husk::agent
