// SPDX-License-Identifier: Apache-2.0
#include "agent/network/routes.hpp"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "agent/network/address.hpp"
#include "agent/network/compare_again.hpp"
#include "agent/network/links.hpp"
#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/carried_network.hpp"

namespace husk::agent {
namespace {

using guestcomm::NextHop;
using guestcomm::Route;

constexpr std::uint32_t usual_inet6_priority = 1024;  ///< what the kernel makes of none

/// Maps indices to links and back.
struct LinkNames {
  std::map<int, std::string> names;
  std::map<std::string, int> indices;

  explicit LinkNames(const std::vector<Link>& links) {
    for (const Link& link : links) {
      names[link.index] = link.name;
      indices[link.name] = link.index;
    }
  }
  std::string name(int index) const {
    const auto found = names.find(index);
    return found == names.end() ? "" : found->second;
  }
  int index(const std::string& name) const {
    if (name.empty()) return 0;
    const auto found = indices.find(name);
    if (found == indices.end()) throw Error(Errc::not_found, "there is no link " + name);
    return found->second;
  }
};

Route canonical(Route r) {
  const bool is_inet6 = parse_ip(r.destination).family == AF_INET6;
  r.destination = canonical_prefix(r.destination);
  r.source = canonical_prefix(r.source);
  r.preferred_source = canonical_ip(r.preferred_source);
  for (NextHop& hop : r.hops) hop.gateway = canonical_ip(hop.gateway);
  if (!guestcomm::has_hops(r.type)) r.hops.clear();  // IPv6 shows loopback
  if (!is_inet6) {
    r.preference.reset();
    return r;
  }
  r.scope = RT_SCOPE_UNIVERSE;
  if (r.priority == 0) r.priority = usual_inet6_priority;
  if (!r.preference) r.preference = 0;
  return r;
}

std::string gateway_text(int family, const Attributes& attributes) {
  if (attributes.has(RTA_GATEWAY)) return ip_text(family, attributes[RTA_GATEWAY]);
  const nlattr* const via = attributes[RTA_VIA];
  if (via == nullptr) return {};
  const auto* found = static_cast<const rtvia*>(nla_data(via));
  IpPrefix address;
  address.family = static_cast<std::uint8_t>(found->rtvia_family);
  std::copy_n(found->rtvia_addr, address.size(), address.bytes.begin());
  return ip_text(address);
}

std::vector<NextHop> hops_of(int family, const nlattr& multipath, const LinkNames& names) {
  std::vector<NextHop> hops;
  const auto* hop = static_cast<const rtnexthop*>(nla_data(&multipath));
  int left = nla_len(&multipath);
  constexpr int least = sizeof(rtnexthop);  // RTNH_OK reads the length before it looks
  for (; left >= least && RTNH_OK(hop, left);
       left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
    const Attributes own(hop + 1, hop->rtnh_len - static_cast<int>(sizeof *hop));
    hops.push_back({.link = names.name(hop->rtnh_ifindex),
                    .gateway = gateway_text(family, own),
                    .weight = hop->rtnh_hops,
                    .flags = static_cast<std::uint8_t>(hop->rtnh_flags & RTNH_F_ONLINK)});
  }
  return hops;
}

std::vector<NextHop> hops_of(const rtmsg& header, const Attributes& attributes,
                             const LinkNames& names) {
  if (!guestcomm::has_hops(header.rtm_type)) return {};
  if (const nlattr* const multipath = attributes[RTA_MULTIPATH])
    return hops_of(header.rtm_family, *multipath, names);
  return {{.link = names.name(static_cast<int>(attributes.number<std::uint32_t>(RTA_OIF))),
           .gateway = gateway_text(header.rtm_family, attributes),
           .weight = 0,
           .flags = static_cast<std::uint8_t>(header.rtm_flags & RTNH_F_ONLINK)}};
}

std::map<std::uint32_t, std::uint32_t> metrics_of(const nlattr* nested) {
  std::map<std::uint32_t, std::uint32_t> metrics;
  if (nested == nullptr) return metrics;
  const Attributes all(*nested);
  for (int metric = 1; metric <= RTAX_MAX; ++metric)
    if (metric != RTAX_CC_ALGO && all.has(metric))
      metrics[static_cast<std::uint32_t>(metric)] = all.number<std::uint32_t>(metric);
  return metrics;
}

bool is_automatic(const rtmsg& header, const Attributes& attributes) {
  const nlattr* const cache = attributes[RTA_CACHEINFO];
  return guestcomm::is_automatic_route(
      header, attributes.number<std::uint32_t>(RTA_TABLE, header.rtm_table),
      cache != nullptr ? static_cast<const rta_cacheinfo*>(nla_data(cache)) : nullptr);
}

Route route_of(const NetlinkReply& reply, const LinkNames& names) {
  const auto& header = reply.header<rtmsg>();
  const Attributes attributes = reply.attributes<rtmsg>();
  const int family = header.rtm_family;
  Route r;
  r.destination = prefix_text(family, attributes[RTA_DST], header.rtm_dst_len);
  if (attributes.has(RTA_SRC))
    r.source = prefix_text(family, attributes[RTA_SRC], header.rtm_src_len);
  r.preferred_source = ip_text(family, attributes[RTA_PREFSRC]);
  r.table = attributes.number<std::uint32_t>(RTA_TABLE, header.rtm_table);
  r.priority = attributes.number<std::uint32_t>(RTA_PRIORITY);
  r.tos = header.rtm_tos;
  r.protocol = header.rtm_protocol;
  r.scope = header.rtm_scope;
  r.type = header.rtm_type;
  if (attributes.has(RTA_PREF)) r.preference = attributes.number<std::uint8_t>(RTA_PREF);
  r.hops = hops_of(header, attributes, names);
  r.metrics = metrics_of(attributes[RTA_METRICS]);
  return canonical(std::move(r));
}

std::vector<Route> load_routes(const NetlinkSocket& socket, const LinkNames& names) {
  std::vector<Route> routes;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    rtmsg request{};
    request.rtm_family = family;
    for (const NetlinkReply& reply : socket.dump(RTM_GETROUTE, request)) {
      const auto& header = reply.header<rtmsg>();
      if (header.rtm_family == family && !is_automatic(header, reply.attributes<rtmsg>()))
        routes.push_back(route_of(reply, names));
    }
  }
  return routes;
}

void put_gateway(NetlinkMessage& message, int family, const std::string& text) {
  if (text.empty()) return;
  const IpPrefix gateway = parse_ip(text);
  if (gateway.family == family) {
    message.put(RTA_GATEWAY, gateway.bytes.data(), gateway.size());
    return;
  }
  std::vector<char> via(sizeof(rtvia) + gateway.size());
  const std::uint16_t via_family = gateway.family;
  std::memcpy(via.data(), &via_family, sizeof via_family);
  std::memcpy(via.data() + sizeof via_family, gateway.bytes.data(), gateway.size());
  message.put(RTA_VIA, via.data(), via.size());
}

void put_hops(NetlinkMessage& message, int family, const std::vector<NextHop>& hops,
              const LinkNames& names) {
  message.put_nested(RTA_MULTIPATH, [&] {
    for (const NextHop& hop : hops) {
      rtnexthop header{};
      header.rtnh_hops = hop.weight;
      header.rtnh_flags = hop.flags;
      header.rtnh_ifindex = names.index(hop.link);
      const std::size_t begin = message.append(&header, sizeof header);
      put_gateway(message, family, hop.gateway);
      header.rtnh_len = static_cast<std::uint16_t>(message.size() - begin);
      message.overwrite(begin, &header, sizeof header);
    }
  });
}

void put_metrics(NetlinkMessage& message, const Route& r) {
  if (r.metrics.empty()) return;
  message.put_nested(RTA_METRICS, [&] {
    for (const auto& [metric, value] : r.metrics)
      message.put_number(static_cast<int>(metric), value);
  });
}

rtmsg header_of(const Route& r, const IpPrefix& destination) {
  rtmsg header{};
  header.rtm_family = destination.family;
  header.rtm_dst_len = destination.length;
  header.rtm_tos = r.tos;
  header.rtm_table = static_cast<unsigned char>(r.table < 256 ? r.table : RT_TABLE_UNSPEC);
  header.rtm_protocol = r.protocol;
  header.rtm_scope = r.scope;
  header.rtm_type = r.type;
  if (!r.source.empty()) header.rtm_src_len = parse_ip(r.source).length;
  if (r.hops.size() == 1) header.rtm_flags = r.hops.front().flags;
  return header;
}

NetlinkMessage message_of(int type, int flags, const Route& r, const LinkNames& names) {
  const IpPrefix destination = parse_ip(r.destination);
  const auto put_ip = [](NetlinkMessage& message, int attribute, const std::string& text) {
    if (text.empty()) return;
    const IpPrefix address = parse_ip(text);
    message.put(attribute, address.bytes.data(), address.size());
  };
  NetlinkMessage message(type, flags, header_of(r, destination));
  if (destination.length != 0) put_ip(message, RTA_DST, r.destination);
  put_ip(message, RTA_SRC, r.source);
  put_ip(message, RTA_PREFSRC, r.preferred_source);
  message.put_number(RTA_TABLE, r.table);
  if (r.priority != 0) message.put_number(RTA_PRIORITY, r.priority);
  if (r.preference) message.put_number(RTA_PREF, *r.preference);
  put_metrics(message, r);
  if (r.hops.size() > 1) put_hops(message, destination.family, r.hops, names);
  if (r.hops.size() != 1) return message;
  const NextHop& hop = r.hops.front();
  if (!hop.link.empty())
    message.put_number(RTA_OIF, static_cast<std::uint32_t>(names.index(hop.link)));
  put_gateway(message, destination.family, hop.gateway);
  return message;
}

/// The route as ip(8) prints it: "default via 10.0.0.1 dev eth0".
std::string describe(const Route& r) {
  std::string text = "route " + (parse_ip(r.destination).length == 0 ? "default" : r.destination);
  for (const NextHop& hop : r.hops) {
    if (!hop.gateway.empty()) text += " via " + hop.gateway;
    if (!hop.link.empty()) text += " dev " + hop.link;
  }
  if (r.table != RT_TABLE_MAIN) text += " table " + std::to_string(r.table);
  return text;
}

void add(const NetlinkSocket& socket, const Route& r, const LinkNames& names) {
  step(describe(r), [&] {
    // IPv4: behind those that have the same destination and priority.
    const int last = parse_ip(r.destination).family == AF_INET ? NLM_F_APPEND : 0;
    socket.change(message_of(RTM_NEWROUTE, NLM_F_CREATE | last, r, names));
  });
}

void remove(const NetlinkSocket& socket, const Route& r, const LinkNames& names) {
  try {
    socket.change(message_of(RTM_DELROUTE, 0, r, names));
  } catch (const Error& error) {
    if (error.sys_errno() != ESRCH) throw error.within("remove " + describe(r));
  }
}

bool has_gateway(const Route& r) {
  return std::ranges::any_of(r.hops, [](const NextHop& hop) { return !hop.gateway.empty(); });
}

/// The gateway of one may be behind another: those without first, and those that were too early
/// once more while others get through.
void add_all(const NetlinkSocket& socket, std::vector<Route> missing, const LinkNames& names) {
  std::ranges::stable_sort(missing, [](const Route& a, const Route& b) {
    return std::pair(has_gateway(a), -a.scope) < std::pair(has_gateway(b), -b.scope);
  });
  while (!missing.empty()) {
    std::vector<Route> early;
    std::optional<Error> why;
    for (Route& r : missing) {
      try {
        add(socket, r, names);
      } catch (const Error& error) {
        if (error.sys_errno() != ENETUNREACH && error.sys_errno() != EHOSTUNREACH) throw;
        if (!why) why = error;
        early.push_back(std::move(r));
      }
    }
    if (early.size() == missing.size()) throw Error(*why);
    missing = std::move(early);
  }
}

bool concerns(const Route& r, const std::set<std::string>& links) {
  return r.hops.empty() || std::ranges::any_of(r.hops, [&](const NextHop& hop) {
           return hop.link.empty() || links.contains(hop.link);
         });
}

void apply_once(const NetlinkSocket& socket, const guestcomm::Network& wanted) {
  const LinkNames names(load_links(socket));
  std::set<std::string> links;
  for (const auto& link : wanted.links) links.insert(link.name);
  std::vector<Route> missing;
  for (const Route& r : wanted.routes) missing.push_back(canonical(r));
  for (const Route& have : load_routes(socket, names)) {
    const auto found = std::ranges::find(missing, have);
    if (found != missing.end()) {
      missing.erase(found);
    } else if (concerns(have, links)) {
      remove(socket, have, names);
    }
  }
  add_all(socket, std::move(missing), names);
}

}  // namespace

/// A route that a router advertised is not told by load_routes. An attempt to add the same one makes the
/// kernel take away its expiry, so that the second comparison sees it.
void apply_routes(const NetlinkSocket& socket, const guestcomm::Network& wanted) {
  compare_again_if_exists([&] { apply_once(socket, wanted); });
}

}  // namespace husk::agent
