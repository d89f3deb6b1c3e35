// SPDX-License-Identifier: Apache-2.0
// What both sides must agree on beside the messages: which routes are carried, and which ports are the
// host's.
#pragma once

#include <linux/rtnetlink.h>

#include <cstdint>

namespace husk::guestcomm {

/// On the host's side of the namespace these ports belong to the host: datagrams to them do not reach the
/// guest, and no socket of the guest gets one by chance.
inline constexpr std::uint16_t first_host_port = 61440, last_host_port = 61951;

/// Whether routes of that type (rtm_type) lead over links.
constexpr bool has_hops(unsigned char type) {
  return type != RTN_BLACKHOLE && type != RTN_UNREACHABLE && type != RTN_PROHIBIT &&
         type != RTN_THROW;
}

/// Whether the kernel makes the route by itself, on either side: caches, routes that follow from addresses,
/// and routes that a router announced, which end. cache: RTA_CACHEINFO; nullptr: none.
constexpr bool is_automatic_route(const rtmsg& route, std::uint32_t table,
                                  const rta_cacheinfo* cache) {
  if ((route.rtm_flags & RTM_F_CLONED) != 0 || route.rtm_protocol == RTPROT_REDIRECT) return true;
  if (table == RT_TABLE_LOCAL && route.rtm_protocol == RTPROT_KERNEL) return true;
  return cache != nullptr && cache->rta_expires != 0;
}

}  // namespace husk::guestcomm
