// SPDX-License-Identifier: Apache-2.0
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "agent/network/address.hpp"
#include "agent/network/links.hpp"
#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

using guestcomm::Neighbour;

Neighbour canonical(Neighbour n) {
  n.address = canonical_ip(n.address);
  n.mac = canonical_mac(n.mac);
  n.flags &= NTF_PROXY | NTF_ROUTER;
  return n;
}

Neighbour neighbour_of(const NetlinkReply& reply) {
  const auto& header = reply.header<ndmsg>();
  const Attributes attributes = reply.attributes<ndmsg>();
  Neighbour n;
  n.address = ip_text(header.ndm_family, attributes[NDA_DST]);
  n.flags = header.ndm_flags;
  if ((n.flags & NTF_PROXY) != 0) return canonical(n);
  n.mac = mac_text(attributes[NDA_LLADDR]);
  n.state = header.ndm_state;
  return canonical(n);
}

/// The neighbours that someone set; the kernel looks after the others.
std::vector<Neighbour> load_neighbours(const NetlinkSocket& socket, int index) {
  std::vector<Neighbour> neighbours;
  for (const std::uint8_t flags : {std::uint8_t{0}, std::uint8_t{NTF_PROXY}}) {
    ndmsg request{};
    request.ndm_flags = flags;
    for (const NetlinkReply& reply : socket.dump(RTM_GETNEIGH, request)) {
      const auto& header = reply.header<ndmsg>();
      const bool is_set = flags == NTF_PROXY || header.ndm_state == NUD_PERMANENT;
      if (header.ndm_ifindex == index && is_set) neighbours.push_back(neighbour_of(reply));
    }
  }
  return neighbours;
}

NetlinkMessage message_of(int type, int flags, int index, const Neighbour& n) {
  const IpPrefix address = parse_ip(n.address);
  ndmsg header{};
  header.ndm_family = address.family;
  header.ndm_ifindex = index;
  header.ndm_state = n.state;
  header.ndm_flags = n.flags;
  NetlinkMessage message(type, flags, header);
  message.put(NDA_DST, address.bytes.data(), address.size());
  if (!n.mac.empty()) {
    const std::vector<std::uint8_t> mac = parse_mac(n.mac);
    message.put(NDA_LLADDR, mac.data(), mac.size());
  }
  return message;
}

void remove(const NetlinkSocket& socket, int index, const Neighbour& n) {
  try {
    socket.change(message_of(RTM_DELNEIGH, 0, index, n));
  } catch (const Error& error) {
    if (error.sys_errno() != ENOENT) throw error.within("remove neighbour " + n.address);
  }
}

}  // namespace

void apply_neighbours(const NetlinkSocket& socket, int index, const guestcomm::NetworkLink& want) {
  std::vector<Neighbour> wanted;
  for (const Neighbour& n : want.neighbours) wanted.push_back(canonical(n));
  const std::vector<Neighbour> have = load_neighbours(socket, index);
  for (const Neighbour& n : have)
    if (std::ranges::find(wanted, n) == wanted.end()) remove(socket, index, n);
  for (const Neighbour& n : wanted)
    if (std::ranges::find(have, n) == have.end())
      step("neighbour " + n.address, [&] {
        socket.change(message_of(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, index, n));
      });
}

}  // namespace husk::agent
