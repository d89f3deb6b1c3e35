// SPDX-License-Identifier: Apache-2.0
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>

#include "agent/network/address.hpp"
#include "agent/network/compare_again.hpp"
#include "agent/network/routes.hpp"
#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

using guestcomm::Rule;

/// The kernel writes all bits for "none".
std::optional<std::uint32_t> unless_none(const Attributes& attributes, int attribute) {
  const auto number = attributes.number<std::uint32_t>(attribute, UINT32_MAX);
  return number == UINT32_MAX ? std::nullopt : std::optional(number);
}

template <class Range, class Pair>
void read_range(const Attributes& attributes, int attribute, std::optional<Pair>& into) {
  const nlattr* const found = attributes[attribute];
  if (found == nullptr) return;
  const auto* range = static_cast<const Range*>(nla_data(found));
  into = Pair{range->start, range->end};
}

Rule canonical(Rule r) {
  r.source = canonical_prefix(r.source);
  r.destination = canonical_prefix(r.destination);
  if (r.mark != 0 && r.mark_mask == 0) r.mark_mask = UINT32_MAX;
  if (r.action != FR_ACT_GOTO) r.goto_priority.reset();
  return r;
}

void read_selectors(const fib_rule_hdr& header, const Attributes& attributes, Rule& r) {
  const int family = header.family;
  if (attributes.has(FRA_SRC)) r.source = prefix_text(family, attributes[FRA_SRC], header.src_len);
  if (attributes.has(FRA_DST))
    r.destination = prefix_text(family, attributes[FRA_DST], header.dst_len);
  r.in_link = attributes.text(FRA_IIFNAME);
  r.out_link = attributes.text(FRA_OIFNAME);
  r.mark = attributes.number<std::uint32_t>(FRA_FWMARK);
  r.mark_mask = attributes.number<std::uint32_t>(FRA_FWMASK);
  if (attributes.has(FRA_IP_PROTO)) r.ip_protocol = attributes.number<std::uint8_t>(FRA_IP_PROTO);
  read_range<fib_rule_port_range>(attributes, FRA_SPORT_RANGE, r.source_ports);
  read_range<fib_rule_port_range>(attributes, FRA_DPORT_RANGE, r.destination_ports);
  read_range<fib_rule_uid_range>(attributes, FRA_UID_RANGE, r.users);
}

Rule rule_of(const NetlinkReply& reply) {
  const auto& header = reply.header<fib_rule_hdr>();
  const Attributes attributes = reply.attributes<fib_rule_hdr>();
  Rule r;
  r.is_ipv6 = header.family == AF_INET6;
  r.priority = attributes.number<std::uint32_t>(FRA_PRIORITY);
  r.table = attributes.number<std::uint32_t>(FRA_TABLE, header.table);
  r.action = header.action;
  r.tos = header.tos;
  r.protocol = attributes.number<std::uint8_t>(FRA_PROTOCOL);
  r.is_inverted = (header.flags & FIB_RULE_INVERT) != 0;
  if (attributes.has(FRA_GOTO)) r.goto_priority = attributes.number<std::uint32_t>(FRA_GOTO);
  r.suppress_prefix_length = unless_none(attributes, FRA_SUPPRESS_PREFIXLEN);
  r.suppress_group = unless_none(attributes, FRA_SUPPRESS_IFGROUP);
  read_selectors(header, attributes, r);
  return canonical(std::move(r));
}

std::vector<Rule> load_rules(const NetlinkSocket& socket) {
  std::vector<Rule> rules;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    fib_rule_hdr request{};
    request.family = family;
    for (const NetlinkReply& reply : socket.dump(RTM_GETRULE, request))
      if (reply.header<fib_rule_hdr>().family == family) rules.push_back(rule_of(reply));
  }
  return rules;
}

fib_rule_hdr header_of(const Rule& r) {
  fib_rule_hdr header{};
  header.family = r.is_ipv6 ? AF_INET6 : AF_INET;
  header.action = r.action;
  header.tos = r.tos;
  header.table = static_cast<std::uint8_t>(r.table < 256 ? r.table : RT_TABLE_UNSPEC);
  header.flags = r.is_inverted ? FIB_RULE_INVERT : 0;
  if (!r.source.empty()) header.src_len = parse_ip(r.source).length;
  if (!r.destination.empty()) header.dst_len = parse_ip(r.destination).length;
  return header;
}

void put_prefix(NetlinkMessage& message, int attribute, const std::string& text) {
  if (text.empty()) return;
  const IpPrefix prefix = parse_ip(text);
  message.put(attribute, prefix.bytes.data(), prefix.size());
}

template <class Range>
void put_range(NetlinkMessage& message, int attribute, const auto& wanted) {
  if (!wanted) return;
  Range range{};
  range.start = wanted->first;
  range.end = wanted->second;
  message.put(attribute, &range, sizeof range);
}

void put_selectors(NetlinkMessage& message, const Rule& r) {
  put_prefix(message, FRA_SRC, r.source);
  put_prefix(message, FRA_DST, r.destination);
  if (!r.in_link.empty()) message.put_text(FRA_IIFNAME, r.in_link);
  if (!r.out_link.empty()) message.put_text(FRA_OIFNAME, r.out_link);
  if (r.mark != 0 || r.mark_mask != 0) {
    message.put_number(FRA_FWMARK, r.mark);
    message.put_number(FRA_FWMASK, r.mark_mask);
  }
  if (r.ip_protocol) message.put_number(FRA_IP_PROTO, *r.ip_protocol);
  put_range<fib_rule_port_range>(message, FRA_SPORT_RANGE, r.source_ports);
  put_range<fib_rule_port_range>(message, FRA_DPORT_RANGE, r.destination_ports);
  put_range<fib_rule_uid_range>(message, FRA_UID_RANGE, r.users);
}

NetlinkMessage message_of(int type, int flags, const Rule& r) {
  NetlinkMessage message(type, flags, header_of(r));
  const auto put_if = [&](int attribute, const std::optional<std::uint32_t>& number) {
    if (number) message.put_number(attribute, *number);
  };
  message.put_number(FRA_PRIORITY, r.priority);
  message.put_number(FRA_TABLE, r.table);
  message.put_number(FRA_PROTOCOL, r.protocol);
  put_if(FRA_GOTO, r.goto_priority);
  put_if(FRA_SUPPRESS_PREFIXLEN, r.suppress_prefix_length);
  put_if(FRA_SUPPRESS_IFGROUP, r.suppress_group);
  put_selectors(message, r);
  return message;
}

std::string describe(const Rule& r) {
  return std::string(r.is_ipv6 ? "IPv6 " : "") + "rule " + std::to_string(r.priority);
}

void remove(const NetlinkSocket& socket, const Rule& r) {
  try {
    socket.change(message_of(RTM_DELRULE, 0, r));
  } catch (const Error& error) {
    if (error.sys_errno() != ENOENT) throw error.within("remove " + describe(r));
  }
}

/// Added before others go: there is no moment without any.
void apply_once(const NetlinkSocket& socket, const std::vector<Rule>& want) {
  std::vector<Rule> wanted;
  for (const Rule& r : want) wanted.push_back(canonical(r));
  const std::vector<Rule> have = load_rules(socket);
  for (const Rule& r : wanted)
    if (std::ranges::find(have, r) == have.end())
      step(describe(r),
           [&] { socket.change(message_of(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, r)); });
  for (const Rule& r : have)
    if (std::ranges::find(wanted, r) == wanted.end()) remove(socket, r);
}

}  // namespace

void apply_rules(const NetlinkSocket& socket, const std::vector<Rule>& want) {
  compare_again_if_exists([&] { apply_once(socket, want); });
}

}  // namespace husk::agent
