// SPDX-License-Identifier: Apache-2.0
// Read raw: libnl-route's objects do not hold RTA_PREF.
#include <arpa/inet.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/carried_network.hpp"
#include "lib/network/read_parts.hpp"

namespace husk::network {
namespace {

using guestcomm::NextHop;
using guestcomm::Route;
using RouteAttributes = Attributes<RTA_MAX>;

std::string name_of(const InterfaceNames& names, int index) {
  const auto found = names.find(index);
  return found == names.end() ? "" : found->second;
}

/// RTA_GATEWAY, or RTA_VIA: an address of another family.
std::string gateway_of(int family, const nlattr* gateway, const nlattr* via) {
  if (gateway != nullptr) return address_text(family, nla_data(gateway));
  if (via == nullptr) return {};
  const auto* v = static_cast<const rtvia*>(nla_data(via));
  return address_text(v->rtvia_family, v->rtvia_addr);
}

/// RTA_MULTIPATH: rtnexthops, each with attributes of its own.
std::vector<NextHop> read_hops(int family, nlattr* multipath, const InterfaceNames& names) {
  std::vector<NextHop> hops;
  auto* hop = static_cast<rtnexthop*>(nla_data(multipath));
  int left = nla_len(multipath);
  constexpr int header_size = sizeof(rtnexthop);
  for (; left >= header_size && RTNH_OK(hop, left);
       left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
    auto* attributes = reinterpret_cast<nlattr*>(hop + 1);
    const int size = hop->rtnh_len - header_size;
    if (nla_find(attributes, size, RTA_ENCAP) != nullptr)
      throw Error(Errc::unsupported, "encapsulation is not supported");
    hops.push_back({.link = name_of(names, hop->rtnh_ifindex),
                    .gateway = gateway_of(family, nla_find(attributes, size, RTA_GATEWAY),
                                          nla_find(attributes, size, RTA_VIA)),
                    .weight = hop->rtnh_hops,
                    .flags = static_cast<std::uint8_t>(hop->rtnh_flags & RTNH_F_ONLINK)});
  }
  return hops;
}

std::vector<NextHop> hops_of(const rtmsg& header, const RouteAttributes& a,
                             const InterfaceNames& names) {
  if (!guestcomm::has_hops(header.rtm_type))
    return {};  // IPv6 shows them on the loopback interface
  if (a[RTA_MULTIPATH] != nullptr) return read_hops(header.rtm_family, a[RTA_MULTIPATH], names);
  return {{.link = name_of(names, static_cast<int>(a.number(RTA_OIF))),
           .gateway = gateway_of(header.rtm_family, a[RTA_GATEWAY], a[RTA_VIA]),
           .flags = static_cast<std::uint8_t>(header.rtm_flags & RTNH_F_ONLINK)}};
}

std::map<std::uint32_t, std::uint32_t> metrics_of(nlattr* nested) {
  std::map<std::uint32_t, std::uint32_t> metrics;
  if (nested == nullptr) return metrics;
  auto* metric = static_cast<nlattr*>(nla_data(nested));
  int left = nla_len(nested);
  for (; nla_ok(metric, left) != 0; metric = nla_next(metric, &left)) {
    if (nla_type(metric) == RTAX_CC_ALGO)
      throw Error(Errc::unsupported, "a congestion control algorithm is not supported");
    metrics[static_cast<std::uint32_t>(nla_type(metric))] = nla_get_u32(metric);
  }
  return metrics;
}

bool is_automatic(const rtmsg& header, std::uint32_t table, const RouteAttributes& a) {
  const bool has_cache = a.has(RTA_CACHEINFO, sizeof(rta_cacheinfo));
  return guestcomm::is_automatic_route(
      header, table,
      has_cache ? static_cast<const rta_cacheinfo*>(nla_data(a[RTA_CACHEINFO])) : nullptr);
}

void refuse_what_cannot_be_said(const RouteAttributes& a) {
  if (a[RTA_ENCAP] != nullptr) throw Error(Errc::unsupported, "encapsulation is not supported");
  if (a[RTA_FLOW] != nullptr) throw Error(Errc::unsupported, "realms are not supported");
}

Route route_of(const rtmsg& header, const RouteAttributes& a, const InterfaceNames& names) {
  const int family = header.rtm_family;
  Route r;
  r.destination = prefix_text(family, a[RTA_DST], header.rtm_dst_len);
  if (a[RTA_SRC] != nullptr) r.source = prefix_text(family, a[RTA_SRC], header.rtm_src_len);
  if (a[RTA_PREFSRC] != nullptr)
    r.preferred_source = address_text(family, nla_data(a[RTA_PREFSRC]));
  r.table = a.number(RTA_TABLE, header.rtm_table);
  r.priority = a.number(RTA_PRIORITY);
  r.tos = header.rtm_tos;
  r.protocol = header.rtm_protocol;
  r.scope = header.rtm_scope;
  r.type = header.rtm_type;
  if (a[RTA_PREF] != nullptr) r.preference = nla_get_u8(a[RTA_PREF]);
  step("route " + r.destination, [&] {
    refuse_what_cannot_be_said(a);
    r.hops = hops_of(header, a, names);
    r.metrics = metrics_of(a[RTA_METRICS]);
  });
  return r;
}

}  // namespace

std::string address_text(int family, const void* bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (::inet_ntop(family, bytes, text.data(), text.size()) == nullptr)
    throw Error(Errc::unsupported, "address of unknown family " + std::to_string(family));
  return text.data();
}

std::string prefix_text(int family, const nlattr* attribute, unsigned length) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  if (attribute != nullptr)
    std::memcpy(bytes.data(), nla_data(attribute),
                std::min<std::size_t>(bytes.size(), static_cast<std::size_t>(nla_len(attribute))));
  return address_text(family, bytes.data()) + "/" + std::to_string(length);
}

std::vector<Route> read_routes(const RouteSocket& socket, const InterfaceNames& names) {
  std::vector<Route> routes;
  for (const int family : {AF_INET, AF_INET6}) {
    const NetlinkMessage request = make_message(RTM_GETROUTE, NLM_F_DUMP);
    rtmsg header{};
    header.rtm_family = static_cast<std::uint8_t>(family);
    check_nl(nlmsg_append(request.get(), &header, sizeof header, NLMSG_ALIGNTO), "routes");
    for (const NetlinkReply& reply : socket.dump(*request, "routes")) {
      const RouteAttributes attributes(reply.header(), sizeof(rtmsg));
      const auto& found = *static_cast<const rtmsg*>(nlmsg_data(&reply.header()));
      if (!is_automatic(found, attributes.number(RTA_TABLE, found.rtm_table), attributes))
        routes.push_back(route_of(found, attributes, names));
    }
  }
  return routes;
}

}  // namespace husk::network
