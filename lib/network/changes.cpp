// SPDX-License-Identifier: Apache-2.0
#include "lib/network/changes.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "lib/base/error.hpp"

namespace husk::network {
namespace {

constexpr unsigned bit(unsigned group) { return 1U << (group - 1U); }

constexpr unsigned groups = bit(RTNLGRP_LINK) | bit(RTNLGRP_IPV4_IFADDR) |
                            bit(RTNLGRP_IPV6_IFADDR) | bit(RTNLGRP_IPV4_ROUTE) |
                            bit(RTNLGRP_IPV6_ROUTE) | bit(RTNLGRP_IPV4_RULE) |
                            bit(RTNLGRP_IPV6_RULE);

}  // namespace

UniqueFd watch_changes(const NetworkNamespace& in) {
  return step("watch network namespace " + in.name(), [&] {
    const InNetworkNamespace inside(in);
    UniqueFd socket{check_sys(
        ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE), "socket")};
    sockaddr_nl own{};
    own.nl_family = AF_NETLINK;
    own.nl_groups = groups;
    check_sys(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), "bind");
    return socket;
  });
}

}  // namespace husk::network
