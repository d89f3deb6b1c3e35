// SPDX-License-Identifier: Apache-2.0
#include "lib/network/link.hpp"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/route/link.h>

#include <array>

#include "lib/base/error.hpp"

namespace husk::network {
namespace {

std::optional<LinkState> find(const RouteSocket& socket, int index, const char* name) {
  rtnl_link* raw = nullptr;
  const int result = rtnl_link_get_kernel(socket.get(), index, name, &raw);
  const std::unique_ptr<rtnl_link, decltype(&rtnl_link_put)> link{raw, &rtnl_link_put};
  if (result == -NLE_NODEV || result == -NLE_OBJ_NOTFOUND) return {};
  check_nl(result, "look for the link");
  LinkState state;
  state.index = rtnl_link_get_ifindex(raw);
  state.name = rtnl_link_get_name(raw);
  if (const char* kind = rtnl_link_get_type(raw)) state.kind = kind;
  std::array<char, 64> mac{};
  if (nl_addr* address = rtnl_link_get_addr(raw))
    state.mac = nl_addr2str(address, mac.data(), mac.size());
  state.flags = rtnl_link_get_flags(raw);
  state.mtu = rtnl_link_get_mtu(raw);
  return state;
}

NetlinkMessage change_of(int index, std::uint32_t flags = 0, std::uint32_t mask = 0) {
  NetlinkMessage message = make_message(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK);
  ifinfomsg header{};
  header.ifi_index = index;
  header.ifi_flags = flags;
  header.ifi_change = mask;
  check_nl(nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO), "change a link");
  return message;
}

}  // namespace

std::optional<LinkState> find_link(const RouteSocket& socket, const std::string& name) {
  return find(socket, 0, name.c_str());
}

std::optional<LinkState> find_link(const RouteSocket& socket, int index) {
  return find(socket, index, nullptr);
}

void set_link_flags(const RouteSocket& socket, int index, std::uint32_t flags, std::uint32_t mask) {
  const bool is_up = (mask & IFF_UP) != 0 && (flags & IFF_UP) != 0;
  socket.change(*change_of(index, flags, mask),
                is_up ? "cannot bring the link up" : "cannot set the link's flags");
}

void set_link_mtu(const RouteSocket& socket, int index, std::uint32_t mtu) {
  const NetlinkMessage message = change_of(index);
  put_number(*message, IFLA_MTU, mtu);
  socket.change(*message, "cannot set an MTU of " + std::to_string(mtu));
}

void move_link(const RouteSocket& socket, int index, const NetworkNamespace& to,
               const std::string& new_name) {
  const NetlinkMessage message = change_of(index, 0, IFF_UP);
  put_number(*message, IFLA_NET_NS_FD, static_cast<std::uint32_t>(to.fd()));
  put_text(*message, IFLA_IFNAME, new_name);
  socket.change(*message, "cannot move the link to " + to.name() + " as " + new_name);
}

}  // namespace husk::network
