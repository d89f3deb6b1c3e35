// SPDX-License-Identifier: Apache-2.0
// A container's network as the guest shall have it: what is in the network namespace that the caller
// wired on the host. Numbers and flags are those of rtnetlink(7); addresses are text, as ip(8) shows
// them. It is said whole each time: the guest compares it with what it has, and changes the
// difference.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/guestcomm/protocol/done.hpp"

namespace husk::guestcomm {

struct LinkAddress {
  std::string address;    ///< with prefix length: "172.17.0.2/16", "fd00::2/64"
  std::string peer;       ///< of a point-to-point address, with prefix length; empty: none
  std::string broadcast;  ///< empty: none
  std::string label;      ///< IPv4 only; empty: none
  std::uint8_t scope = 0;
  std::uint32_t flags = 0;  ///< IFA_F_*: those that a user can set
  /// Seconds; the greatest number: for ever.
  std::uint32_t valid_lifetime = UINT32_MAX, preferred_lifetime = UINT32_MAX;
  bool operator==(const LinkAddress&) const = default;
};

/// A neighbour that a user set: a permanent one, or a proxy.
struct Neighbour {
  std::string address, mac;  ///< mac: empty for a proxy
  std::uint16_t state = 0;   ///< NUD_*
  std::uint8_t flags = 0;    ///< NTF_*
  bool operator==(const Neighbour&) const = default;
};

struct NetworkLink {
  std::string name;
  std::string device;  ///< the guest's card: the MAC address that it was made with; empty: loopback
  std::string mac;     ///< what it shall have; empty: loopback
  std::uint32_t mtu = 0;
  std::uint32_t queue_length = 0;  ///< txqueuelen
  std::uint32_t flags = 0;  ///< of IFF_UP, IFF_NOARP, IFF_MULTICAST, IFF_ALLMULTI, IFF_PROMISC
  std::vector<LinkAddress> addresses;
  std::vector<Neighbour> neighbours;
  bool operator==(const NetworkLink&) const = default;
};

struct NextHop {
  std::string link, gateway;  ///< either may be empty; the gateway can be of the other family
  std::uint8_t weight = 0;    ///< as the kernel has it: one less than what ip(8) shows
  std::uint8_t flags = 0;     ///< RTNH_F_ONLINK
  bool operator==(const NextHop&) const = default;
};

/// Not those of the table "local", which follow from the addresses.
struct Route {
  std::string destination;  ///< with prefix length; tells the family: "0.0.0.0/0", "::/0"
  std::string source, preferred_source;  ///< empty: any; source with prefix length (IPv6 only)
  std::uint32_t table = 0, priority = 0;
  std::uint8_t tos = 0, protocol = 0, scope = 0, type = 0;
  std::optional<std::uint8_t> preference;          ///< IPv6: RTA_PREF
  std::vector<NextHop> hops;                       ///< none: blackhole, unreachable, ...
  std::map<std::uint32_t, std::uint32_t> metrics;  ///< RTAX_* to value
  bool operator==(const Route&) const = default;
};

/// Not the three of IPv4 and two of IPv6 that every namespace has from the start, unless they are
/// gone: all rules are named.
struct Rule {
  bool is_ipv6 = false;
  std::uint32_t priority = 0, table = 0;
  std::uint8_t action = 0, tos = 0, protocol = 0;  ///< FR_ACT_*; protocol: who made it
  bool is_inverted = false;                        ///< "not"
  std::string source, destination;                 ///< with prefix length; empty: all
  std::string in_link, out_link;                   ///< empty: any
  std::uint32_t mark = 0, mark_mask = 0;
  std::optional<std::uint32_t> goto_priority, suppress_prefix_length, suppress_group;
  std::optional<std::uint8_t> ip_protocol;
  std::optional<std::pair<std::uint16_t, std::uint16_t>> source_ports, destination_ports;
  std::optional<std::pair<std::uint32_t, std::uint32_t>> users;  ///< uidrange
  bool operator==(const Rule&) const = default;
};

struct Network {
  std::vector<NetworkLink> links;  ///< loopback among them
  std::vector<Route> routes;
  std::vector<Rule> rules;
  /// The namespace's settings below /proc/sys/net: "ipv6/conf/eth0/disable_ipv6" to "1". Settings of a link
  /// that is not there are an error.
  std::map<std::string, std::string> sysctls;
  /// There is a DNS server on the host side's loopback, which the guest shall have too (dns.hpp).
  bool has_dns = false;
  bool operator==(const Network&) const = default;
};

/// husk start, and a change of the network. Compared with what is there; may be repeated.
struct ConfigureNetwork {
  static constexpr std::string_view method = "configure_network";
  using Result = Done;
  Network network;
};

void to_json(nlohmann::json& json, const Network& v);
void from_json(const nlohmann::json& json, Network& v);
void to_json(nlohmann::json& json, const ConfigureNetwork& v);
void from_json(const nlohmann::json& json, ConfigureNetwork& v);

}  // namespace husk::guestcomm
