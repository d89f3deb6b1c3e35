// SPDX-License-Identifier: Apache-2.0
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>

#include "agent/network/address.hpp"
#include "agent/network/compare_again.hpp"
#include "agent/network/links.hpp"
#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

using guestcomm::LinkAddress;

/// The flags that make a difference later. IFA_F_NODAD is for the moment of adding.
constexpr std::uint32_t kept_flags =
    IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN | IFA_F_MANAGETEMPADDR | IFA_F_HOMEADDRESS;
constexpr std::uint32_t for_ever = UINT32_MAX;

bool is_inet6(const LinkAddress& address) { return address.address.find(':') != std::string::npos; }

/// Time goes on: all that have an end are alike.
std::uint32_t canonical_lifetime(std::uint32_t seconds) {
  return seconds == for_ever ? for_ever : std::min(seconds, 1u);
}

/// The part of an address that two descriptions of it have in common, whoever wrote them.
LinkAddress canonical(LinkAddress a, const std::string& link) {
  IpPrefix local = parse_ip(a.address);
  if (!a.peer.empty()) local.length = parse_ip(a.peer).length;
  a.address = canonical_ip(a.address) + "/" + std::to_string(local.length);
  a.peer = canonical_prefix(a.peer);
  if (a.peer == a.address) a.peer.clear();
  a.broadcast = canonical_ip(a.broadcast);
  if (a.label == link) a.label.clear();
  if (local.family == AF_INET6) a.scope = 0;  // follows from the address
  a.flags &= kept_flags;
  a.valid_lifetime = canonical_lifetime(a.valid_lifetime);
  a.preferred_lifetime = canonical_lifetime(a.preferred_lifetime);
  return a;
}

LinkAddress address_of(const NetlinkReply& reply) {
  const auto& header = reply.header<ifaddrmsg>();
  const Attributes attributes = reply.attributes<ifaddrmsg>();
  const int family = header.ifa_family;
  LinkAddress a;
  const bool has_local = attributes.has(IFA_LOCAL);
  a.address =
      prefix_text(family, attributes[has_local ? IFA_LOCAL : IFA_ADDRESS], header.ifa_prefixlen);
  if (has_local) a.peer = prefix_text(family, attributes[IFA_ADDRESS], header.ifa_prefixlen);
  a.broadcast = ip_text(family, attributes[IFA_BROADCAST]);
  a.label = attributes.text(IFA_LABEL);
  a.scope = header.ifa_scope;
  a.flags = attributes.number<std::uint32_t>(IFA_FLAGS, header.ifa_flags);
  if (const nlattr* const found = attributes[IFA_CACHEINFO]) {
    const auto* times = static_cast<const ifa_cacheinfo*>(nla_data(found));
    a.valid_lifetime = times->ifa_valid;
    a.preferred_lifetime = times->ifa_prefered;
  }
  return a;
}

/// An address that the kernel made itself and still checks (duplicate address detection) is marked, so that it is
/// replaced: a program could not bind to it for a second.
std::vector<LinkAddress> load_addresses(const NetlinkSocket& socket, int index,
                                        const std::string& link) {
  std::vector<LinkAddress> addresses;
  for (const NetlinkReply& reply : socket.dump(RTM_GETADDR, ifaddrmsg{}))
    if (static_cast<int>(reply.header<ifaddrmsg>().ifa_index) == index) {
      const LinkAddress found = address_of(reply);
      addresses.push_back(canonical(found, link));
      addresses.back().flags |= found.flags & IFA_F_TENTATIVE;
    }
  return addresses;
}

NetlinkMessage message_of(int type, int flags, int index, const LinkAddress& a) {
  const IpPrefix local = parse_ip(a.address);
  const IpPrefix peer = a.peer.empty() ? local : parse_ip(a.peer);
  ifaddrmsg header{};
  header.ifa_family = local.family;
  header.ifa_prefixlen = peer.length;
  header.ifa_scope = a.scope;
  header.ifa_index = static_cast<unsigned>(index);
  NetlinkMessage message(type, flags, header);
  message.put(IFA_LOCAL, local.bytes.data(), local.size());
  message.put(IFA_ADDRESS, peer.bytes.data(), peer.size());
  if (!a.label.empty()) message.put_text(IFA_LABEL, a.label);
  return message;
}

void add(const NetlinkSocket& socket, int index, const LinkAddress& a) {
  NetlinkMessage message = message_of(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, a);
  if (!a.broadcast.empty()) {
    const IpPrefix broadcast = parse_ip(a.broadcast);
    message.put(IFA_BROADCAST, broadcast.bytes.data(), broadcast.size());
  }
  // Duplicates were looked for on the host, where the same address is.
  const std::uint32_t unchecked = is_inet6(a) ? IFA_F_NODAD : 0u;
  message.put_number(IFA_FLAGS, (a.flags & kept_flags) | unchecked);
  if (a.valid_lifetime != for_ever || a.preferred_lifetime != for_ever) {
    ifa_cacheinfo times{};
    times.ifa_valid = a.valid_lifetime;
    times.ifa_prefered = a.preferred_lifetime;
    message.put(IFA_CACHEINFO, &times, sizeof times);
  }
  step("address " + a.address, [&] { socket.change(message); });
}

/// False: it went with another one.
bool remove(const NetlinkSocket& socket, int index, const LinkAddress& a) {
  try {
    socket.change(message_of(RTM_DELADDR, 0, index, a));
    return true;
  } catch (const Error& error) {
    if (error.sys_errno() == EADDRNOTAVAIL) return false;
    throw error.within("remove address " + a.address);
  }
}

void apply_once(const NetlinkSocket& socket, int index, const guestcomm::NetworkLink& want) {
  const auto is_wanted = [&](const LinkAddress& have) {
    return std::ranges::any_of(want.addresses,
                               [&](const auto& a) { return canonical(a, want.name) == have; });
  };
  for (const LinkAddress& have : load_addresses(socket, index, want.name))
    if (!is_wanted(have)) remove(socket, index, have);
  // Again: with a first address of a subnet the others of it may have gone.
  const std::vector<LinkAddress> have = load_addresses(socket, index, want.name);
  const auto add_missing = [&](const LinkAddress& a) {
    if (std::ranges::find(have, canonical(a, want.name)) == have.end()) add(socket, index, a);
  };
  for (const LinkAddress& a : want.addresses)
    if (!is_inet6(a)) add_missing(a);
  // The kernel tells the newest of IPv6 first.
  for (auto a = want.addresses.rbegin(); a != want.addresses.rend(); ++a)
    if (is_inet6(*a)) add_missing(*a);
}

}  // namespace

void apply_addresses(const NetlinkSocket& socket, int index, const guestcomm::NetworkLink& want) {
  compare_again_if_exists([&] { apply_once(socket, index, want); });
}

}  // namespace husk::agent
