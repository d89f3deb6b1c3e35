// SPDX-License-Identifier: Apache-2.0
// The contents of a network namespace of the host, as read.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lib/guestcomm/protocol/network.hpp"

namespace husk::network {

struct Interface {
  int index = 0;
  int master = 0;  ///< index of the bridge, bond, ... that it belongs to; 0: none
  int parent = 0;  ///< index of the one below it, if that is in the same namespace; 0: none
  std::string name;
  std::string kind;  ///< as "ip -d link" shows it: "veth", "macvlan"; empty: hardware, loopback
  std::uint16_t type = 0;   ///< ARPHRD_*
  std::uint32_t flags = 0;  ///< IFF_*
  std::string mac;          ///< empty: no Ethernet
  std::uint32_t mtu = 0, queue_length = 0;
  bool is_routed_by_netfilter = false;  ///< an ipvlan in mode l3s
  std::vector<guestcomm::LinkAddress> addresses;
  std::vector<guestcomm::Neighbour> neighbours;
};

struct NamespaceContents {
  std::vector<Interface> interfaces;  ///< by index
  std::vector<guestcomm::Route> routes;
  std::vector<guestcomm::Rule> rules;
  std::map<std::string, std::string> sysctls;  ///< below /proc/sys/net
  bool has_dns = false;  ///< a program listens at guestcomm::dns_address, as Docker's server does
};

}  // namespace husk::network
