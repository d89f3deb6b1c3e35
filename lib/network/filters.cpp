// SPDX-License-Identifier: Apache-2.0
#include "lib/network/filters.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>

#include "lib/base/error.hpp"
#include "lib/network/read_parts.hpp"

namespace husk::network {
namespace {

/// tc's "pref": the mark of husk's filters, in its upper byte.
constexpr std::uint16_t husks_priority = 0x6800;
constexpr std::uint32_t ingress_handle = 0xffff0000;

NetlinkMessage message_for(int type, int flags, tcmsg header) {
  NetlinkMessage message = make_message(type, NLM_F_REQUEST | flags);
  check_nl(nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO), "traffic control");
  return message;
}

tcmsg qdisc_header(int link) {
  tcmsg header{};
  header.tcm_ifindex = link;
  header.tcm_handle = ingress_handle;
  header.tcm_parent = TC_H_INGRESS;
  return header;
}

NetlinkMessage filter_message(int link, std::uint16_t order) {
  tcmsg header{};
  header.tcm_ifindex = link;
  header.tcm_parent = ingress_handle;
  header.tcm_info = static_cast<std::uint32_t>(husks_priority | order) << 16 | ::htons(ETH_P_ALL);
  NetlinkMessage message =
      message_for(RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, header);
  put_text(*message, TCA_KIND, "bpf");
  return message;
}

void put_program(nl_msg& message, const FrameProgram& program) {
  put_struct(message, TCA_BPF_OPS_LEN, static_cast<std::uint16_t>(program.size()));
  put_bytes(message, TCA_BPF_OPS, program.data(), program.size() * sizeof(sock_filter));
}

void put_forwarding(nl_msg& message, Forwarding forwarding, int target) {
  const bool is_copy = forwarding == Forwarding::copy;
  tc_mirred mirred{};
  mirred.eaction = is_copy ? TCA_EGRESS_MIRROR : TCA_EGRESS_REDIR;
  mirred.action = is_copy ? TC_ACT_OK : TC_ACT_STOLEN;
  mirred.ifindex = static_cast<std::uint32_t>(target);
  const NestedAttribute actions(message, TCA_BPF_ACT);
  const NestedAttribute first(message, 1);
  put_text(message, TCA_ACT_KIND, "mirred");
  const NestedAttribute options(message, TCA_ACT_OPTIONS);
  put_struct(message, TCA_MIRRED_PARMS, mirred);
}

/// The link to which a filter sends frames; 0: none, or it is gone.
int target_of(nlattr* options) {
  nlattr* at = options;
  for (const int inner : {int{TCA_BPF_ACT}, 1, int{TCA_ACT_OPTIONS}, int{TCA_MIRRED_PARMS}}) {
    if (at == nullptr) return 0;
    at = nla_find(static_cast<nlattr*>(nla_data(at)), nla_len(at), inner);
  }
  if (at == nullptr || nla_len(at) < static_cast<int>(sizeof(tc_mirred))) return 0;
  return static_cast<int>(static_cast<const tc_mirred*>(nla_data(at))->ifindex);
}

/// Looks at the filters of a qdisc.
void read_filters(const RouteSocket& socket, int link, IngressState& state) {
  tcmsg header{};
  header.tcm_ifindex = link;
  header.tcm_parent = ingress_handle;
  state.is_husks = state.kind == "ingress";
  const NetlinkMessage request = message_for(RTM_GETTFILTER, NLM_F_DUMP, header);
  for (const NetlinkReply& reply : socket.dump(*request, "filters")) {
    const Attributes<TCA_MAX> a(reply.header(), sizeof(tcmsg));
    const auto& found = *static_cast<const tcmsg*>(nlmsg_data(&reply.header()));
    if ((found.tcm_info >> 16 & 0xff00) != husks_priority) state.is_husks = false;
    if (const int target = target_of(a[TCA_OPTIONS]); target != 0) state.target = target;
  }
}

}  // namespace

void add_verdict_filter(const RouteSocket& socket, int link, std::uint16_t order,
                        const FrameProgram& program) {
  const NetlinkMessage message = filter_message(link, order);
  {
    const NestedAttribute options(*message, TCA_OPTIONS);
    put_program(*message, program);
    put_number(*message, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
  }
  socket.change(*message, "cannot add a bpf filter");
}

void add_forwarding_filter(const RouteSocket& socket, int link, std::uint16_t order,
                           const FrameProgram& program, Forwarding forwarding, int target) {
  const NetlinkMessage message = filter_message(link, order);
  {
    const NestedAttribute options(*message, TCA_OPTIONS);
    put_program(*message, program);
    put_forwarding(*message, forwarding, target);
  }
  socket.change(*message, "cannot add a bpf filter with the action mirred");
}

void add_ingress_qdisc(const RouteSocket& socket, int link) {
  const NetlinkMessage message =
      message_for(RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, qdisc_header(link));
  put_text(*message, TCA_KIND, "ingress");
  socket.change(*message, "cannot add an ingress qdisc");
}

void remove_ingress_qdisc(const RouteSocket& socket, int link) {
  const NetlinkMessage message = message_for(RTM_DELQDISC, NLM_F_ACK, qdisc_header(link));
  try {
    socket.change(*message, "cannot remove its ingress qdisc");
  } catch (const Error& e) {
    const int error = e.sys_errno();
    if (error != ENOENT && error != EINVAL && error != ENODEV) throw;  // EINVAL: there is none
  }
}

std::optional<IngressState> find_ingress(const RouteSocket& socket, int link) {
  tcmsg header{};
  header.tcm_ifindex = link;
  const NetlinkMessage request = message_for(RTM_GETQDISC, NLM_F_DUMP, header);
  for (const NetlinkReply& reply : socket.dump(*request, "qdiscs")) {
    const auto& found = *static_cast<const tcmsg*>(nlmsg_data(&reply.header()));
    if (found.tcm_ifindex != link || found.tcm_parent != TC_H_INGRESS) continue;
    const Attributes<TCA_MAX> a(reply.header(), sizeof(tcmsg));
    IngressState state;
    if (a[TCA_KIND] != nullptr) state.kind = nla_get_string(a[TCA_KIND]);
    read_filters(socket, link, state);
    return state;
  }
  return {};
}

}  // namespace husk::network
