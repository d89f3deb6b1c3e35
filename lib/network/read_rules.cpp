// SPDX-License-Identifier: Apache-2.0
// Read raw: libnl-route's objects hold half of what a rule can have.
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>

#include "lib/base/error.hpp"
#include "lib/network/read_parts.hpp"

namespace husk::network {
namespace {

using guestcomm::Rule;
constexpr int last_attribute = 31;  ///< beyond FRA_MAX of old headers: those are refused as well
using RuleAttributes = Attributes<last_attribute>;

constexpr std::array known_attributes = {FRA_DST,
                                         FRA_SRC,
                                         FRA_IIFNAME,
                                         FRA_GOTO,
                                         FRA_PRIORITY,
                                         FRA_FWMARK,

                                         FRA_SUPPRESS_IFGROUP,
                                         FRA_SUPPRESS_PREFIXLEN,
                                         FRA_TABLE,
                                         FRA_FWMASK,
                                         FRA_OIFNAME,
                                         FRA_PAD,
                                         FRA_UID_RANGE,
                                         FRA_PROTOCOL,
                                         FRA_IP_PROTO,
                                         FRA_SPORT_RANGE,
                                         FRA_DPORT_RANGE};

/// FRA_SPORT_MASK, FRA_DPORT_MASK (Linux 6.15), here even where the headers are older: told with each
/// single port, and then all ones.
bool is_mask_of_all(int attribute, const RuleAttributes& a) {
  return (attribute == 28 || attribute == 29) && a.has(attribute, 2) &&
         nla_get_u16(a[attribute]) == UINT16_MAX;
}

void refuse_what_cannot_be_said(const RuleAttributes& a) {
  for (int i = 1; i <= last_attribute; ++i) {
    const bool is_known =
        std::ranges::find(known_attributes, i) != known_attributes.end() || is_mask_of_all(i, a);
    if (a[i] != nullptr && !is_known)
      throw Error(Errc::unsupported,
                  "the selector with attribute number " + std::to_string(i) + " is not supported");
  }
}

template <typename Range, typename Pair>
void read_range(const RuleAttributes& a, int attribute, std::optional<Pair>& into) {
  if (!a.has(attribute, sizeof(Range))) return;
  const auto& range = *static_cast<const Range*>(nla_data(a[attribute]));
  into = Pair{range.start, range.end};
}

/// The kernel writes all bits for "none".
std::optional<std::uint32_t> number_unless_none(const RuleAttributes& a, int attribute) {
  if (a.number(attribute, UINT32_MAX) == UINT32_MAX) return {};
  return a.number(attribute);
}

std::string text_of(const nlattr* attribute) {
  return attribute == nullptr ? "" : nla_get_string(attribute);
}

void read_selectors(const fib_rule_hdr& header, const RuleAttributes& a, Rule& r) {
  if (a[FRA_SRC] != nullptr) r.source = prefix_text(header.family, a[FRA_SRC], header.src_len);
  if (a[FRA_DST] != nullptr) r.destination = prefix_text(header.family, a[FRA_DST], header.dst_len);
  r.in_link = text_of(a[FRA_IIFNAME]);
  r.out_link = text_of(a[FRA_OIFNAME]);
  r.mark = a.number(FRA_FWMARK);
  r.mark_mask = a.number(FRA_FWMASK);
  if (a[FRA_IP_PROTO] != nullptr) r.ip_protocol = nla_get_u8(a[FRA_IP_PROTO]);
  read_range<fib_rule_port_range>(a, FRA_SPORT_RANGE, r.source_ports);
  read_range<fib_rule_port_range>(a, FRA_DPORT_RANGE, r.destination_ports);
  read_range<fib_rule_uid_range>(a, FRA_UID_RANGE, r.users);
}

Rule rule_of(const fib_rule_hdr& header, const RuleAttributes& a) {
  Rule r;
  r.is_ipv6 = header.family == AF_INET6;
  r.priority = a.number(FRA_PRIORITY);
  r.table = a.number(FRA_TABLE, header.table);
  r.action = header.action;
  r.tos = header.tos;
  if (a[FRA_PROTOCOL] != nullptr) r.protocol = nla_get_u8(a[FRA_PROTOCOL]);
  r.is_inverted = (header.flags & FIB_RULE_INVERT) != 0;
  if (header.action == FR_ACT_GOTO) r.goto_priority = a.number(FRA_GOTO);
  r.suppress_prefix_length = number_unless_none(a, FRA_SUPPRESS_PREFIXLEN);
  r.suppress_group = number_unless_none(a, FRA_SUPPRESS_IFGROUP);
  step("routing rule " + std::to_string(r.priority), [&] { refuse_what_cannot_be_said(a); });
  read_selectors(header, a, r);
  return r;
}

}  // namespace

std::vector<Rule> read_rules(const RouteSocket& socket) {
  std::vector<Rule> rules;
  for (const int family : {AF_INET, AF_INET6}) {
    const NetlinkMessage request = make_message(RTM_GETRULE, NLM_F_DUMP);
    fib_rule_hdr header{};
    header.family = static_cast<std::uint8_t>(family);
    check_nl(nlmsg_append(request.get(), &header, sizeof header, NLMSG_ALIGNTO), "routing rules");
    for (const NetlinkReply& reply : socket.dump(*request, "routing rules")) {
      const RuleAttributes attributes(reply.header(), sizeof(fib_rule_hdr));
      const auto& found = *static_cast<const fib_rule_hdr*>(nlmsg_data(&reply.header()));
      if (found.family == family) rules.push_back(rule_of(found, attributes));
    }
  }
  return rules;
}

}  // namespace husk::network
