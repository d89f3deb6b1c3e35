// SPDX-License-Identifier: Apache-2.0
#include "lib/network/read.hpp"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "test/lib/network/frames.hpp"
#include "test/lib/network/test_namespace.hpp"

using namespace husk;
using namespace husk::network;
using guestcomm::Route;
using guestcomm::Rule;
using test::interface_named;
using test::TestNamespace;

namespace {

/// eth0, up, with its peer p0 in `outside`.
void add_veth(const TestNamespace& n, const TestNamespace& outside) {
  n.add_link(
      "eth0 address 02:42:ac:11:00:02 mtu 1400 txqueuelen 500 type veth peer name p0 netns " +
      outside.path());
  outside.run("ip link set p0 up");
  n.run("ip link set lo up; ip link set eth0 up");
}

const Route& route_to(const NamespaceContents& contents, const std::string& destination) {
  const auto found = std::ranges::find(contents.routes, destination, &Route::destination);
  INFO("route " << destination);
  REQUIRE(found != contents.routes.end());
  return *found;
}

const Rule& rule_with(const NamespaceContents& contents, std::uint32_t priority) {
  const auto found = std::ranges::find(contents.rules, priority, &Rule::priority);
  INFO("rule " << priority);
  REQUIRE(found != contents.rules.end());
  return *found;
}

}  // namespace

TEST_CASE("read: a veth with its addresses") {
  const TestNamespace n, outside;
  add_veth(n, outside);
  n.run(
      "ip addr add 172.17.0.2/16 brd 172.17.255.255 dev eth0;"
      "ip addr add 172.17.0.3/16 dev eth0 label eth0:more;"
      "ip addr add 10.0.0.1 peer 10.0.0.2/32 dev eth0 scope link;"
      "ip addr add fd00::2/64 dev eth0 nodad noprefixroute;"
      "ip addr add fd00::3/64 dev eth0 nodad valid_lft 1000 preferred_lft 500");
  const NamespaceContents contents = read_namespace(n.get());
  REQUIRE(contents.interfaces.size() == 2);
  const Interface& eth0 = interface_named(contents, "eth0");
  CHECK(eth0.kind == "veth");
  CHECK(eth0.type == ARPHRD_ETHER);
  CHECK(eth0.mac == "02:42:ac:11:00:02");
  CHECK(eth0.mtu == 1400);
  CHECK(eth0.queue_length == 500);
  CHECK((eth0.flags & IFF_UP) != 0);
  CHECK(eth0.parent == 0);

  const auto address = [&](const std::string& text) {
    const auto found = std::ranges::find(eth0.addresses, text, &guestcomm::LinkAddress::address);
    INFO(text);
    REQUIRE(found != eth0.addresses.end());
    return *found;
  };
  CHECK(eth0.addresses.at(0).address == "10.0.0.1/32");  // the kernel's order: by scope
  CHECK(eth0.addresses.at(1).address == "172.17.0.2/16");
  CHECK(address("172.17.0.2/16").broadcast == "172.17.255.255");
  CHECK(address("172.17.0.2/16").label == "eth0");
  CHECK(address("172.17.0.2/16").flags == 0);
  CHECK(address("172.17.0.2/16").valid_lifetime == UINT32_MAX);
  CHECK(address("172.17.0.3/16").label == "eth0:more");
  CHECK(address("10.0.0.1/32").peer == "10.0.0.2/32");
  CHECK(address("10.0.0.1/32").scope == RT_SCOPE_LINK);
  CHECK(address("fd00::2/64").flags == (IFA_F_NODAD | IFA_F_NOPREFIXROUTE));
  CHECK(address("fd00::3/64").valid_lifetime <= 1000);
  CHECK(address("fd00::3/64").valid_lifetime > 900);
  CHECK(address("fd00::3/64").preferred_lifetime <= 500);
  CHECK(interface_named(contents, "lo").addresses.at(0).address == "127.0.0.1/8");
}

TEST_CASE("read: routes of all tables, but not those that follow from addresses") {
  const TestNamespace n, outside;
  add_veth(n, outside);
  n.run(
      "ip addr add 172.17.0.2/16 dev eth0; ip -6 addr add fd00::2/64 dev eth0 nodad;"
      "ip route add default via 172.17.0.1 metric 7 mtu 1300 src 172.17.0.2;"
      "ip route add 10.1.0.0/16 via 10.9.9.9 dev eth0 onlink table 77 proto static;"
      "ip route add 10.2.0.0/16 nexthop via 172.17.0.1 weight 3 nexthop via 172.17.0.9;"
      "ip route add 10.3.0.0/16 via inet6 fd00::1 dev eth0;"
      "ip route add unreachable 10.4.0.0/16 metric 9;"
      "ip route add local 10.5.0.0/16 dev lo;"
      "ip -6 route add default via fd00::1 pref high;"
      "ip -6 route add blackhole fd05::/48");
  const NamespaceContents contents = read_namespace(n.get());

  const Route& gateway = route_to(contents, "0.0.0.0/0");
  CHECK(gateway.hops == std::vector<guestcomm::NextHop>{{"eth0", "172.17.0.1", 0, 0}});
  CHECK(gateway.priority == 7);
  CHECK(gateway.table == RT_TABLE_MAIN);
  CHECK(gateway.preferred_source == "172.17.0.2");
  CHECK(gateway.metrics == std::map<std::uint32_t, std::uint32_t>{{RTAX_MTU, 1300}});
  CHECK_FALSE(gateway.preference);

  const Route& other_table = route_to(contents, "10.1.0.0/16");
  CHECK(other_table.table == 77);
  CHECK(other_table.protocol == RTPROT_STATIC);
  CHECK(other_table.hops.at(0).flags == RTNH_F_ONLINK);
  const Route& two = route_to(contents, "10.2.0.0/16");
  CHECK(two.hops == std::vector<guestcomm::NextHop>{{"eth0", "172.17.0.1", 2, 0},
                                                    {"eth0", "172.17.0.9", 0, 0}});
  CHECK(route_to(contents, "10.3.0.0/16").hops.at(0).gateway == "fd00::1");
  CHECK(route_to(contents, "10.4.0.0/16").type == RTN_UNREACHABLE);
  CHECK(route_to(contents, "10.4.0.0/16").hops.empty());
  CHECK(route_to(contents, "10.5.0.0/16").table == RT_TABLE_LOCAL);
  CHECK(route_to(contents, "172.17.0.0/16").protocol == RTPROT_KERNEL);
  CHECK(route_to(contents, "::/0").preference == 1);  // ICMPV6_ROUTER_PREF_HIGH
  CHECK(route_to(contents, "fd05::/48").hops.empty());
  for (const Route& r : contents.routes) {
    CHECK(r.destination != "172.17.0.2/32");
    CHECK(r.destination != "ff00::/8");
  }
}

TEST_CASE("read: routes that the guest cannot be told are refused by name") {
  const TestNamespace n, outside;
  add_veth(n, outside);
  n.run("ip addr add 10.0.0.2/16 dev eth0; ip route add 10.7.0.0/16 via 10.0.0.1 congctl reno");
  CHECK_THROWS_WITH(read_namespace(n.get()),
                    Catch::Matchers::ContainsSubstring(
                        "route 10.7.0.0/16: a congestion control algorithm is not supported"));
}

TEST_CASE("read: rules with all their selectors") {
  const TestNamespace n;
  n.run(
      "ip rule add prio 100 from 10.0.0.0/8 to 10.1.0.0/16 iif lo fwmark 0x10/0xff table 77;"
      "ip rule add prio 101 not ipproto tcp sport 100-200 dport 443 uidrange 5-9 lookup main "
      "suppress_prefixlength 0;"
      "ip rule add prio 102 goto 200; ip rule add prio 200 prohibit tos 0x10;"
      "ip -6 rule add prio 103 from fd00::/64 oif eth7 table 300; ip rule del prio 32767");
  const NamespaceContents contents = read_namespace(n.get());
  Rule expected;
  CHECK(rule_with(contents, 100).protocol == RTPROT_UNSPEC);
  expected.priority = 100, expected.table = 77, expected.action = 1;
  expected.source = "10.0.0.0/8", expected.destination = "10.1.0.0/16", expected.in_link = "lo";
  expected.mark = 0x10, expected.mark_mask = 0xff;
  CHECK(rule_with(contents, 100) == expected);
  const Rule& ports = rule_with(contents, 101);
  CHECK(ports.is_inverted);
  CHECK(ports.ip_protocol == 6);
  CHECK(ports.source_ports == std::pair<std::uint16_t, std::uint16_t>{100, 200});
  CHECK(ports.destination_ports == std::pair<std::uint16_t, std::uint16_t>{443, 443});
  CHECK(ports.users == std::pair<std::uint32_t, std::uint32_t>{5, 9});
  CHECK(ports.suppress_prefix_length == 0);
  CHECK_FALSE(rule_with(contents, 100).suppress_prefix_length);
  CHECK(rule_with(contents, 102).goto_priority == 200);
  CHECK(rule_with(contents, 200).tos == 0x10);
  CHECK(rule_with(contents, 103).is_ipv6);
  CHECK(rule_with(contents, 103).out_link == "eth7");
  CHECK(rule_with(contents, 103).table == 300);
  CHECK(contents.rules.size() == 2 + 4 + 2 + 1);  // local and main, four, and IPv6's
}

TEST_CASE("read: rules that the guest cannot be told are refused by name") {
  const auto refused = [](const std::string& attribute) {
    return Catch::Matchers::EndsWith("routing rule 150: the selector with attribute number " +
                                     attribute + " is not supported");
  };
  const TestNamespace n;
  n.run("ip rule add prio 150 from 10.0.0.0/8 table 77 tun_id 5");
  CHECK_THROWS_WITH(read_namespace(n.get()), refused("12"));
  n.run("ip rule del prio 150");
  CHECK_NOTHROW(read_namespace(n.get()));
  if (!n.can("ip rule add prio 150 l3mdev")) SKIP("this kernel has no rules for l3mdev");
  CHECK_THROWS_WITH(read_namespace(n.get()), refused("19"));
}

TEST_CASE("read: a resolver of Docker's is a socket at 127.0.0.11, at any port") {
  const TestNamespace n;
  n.run("ip link set lo up");
  CHECK_FALSE(read_namespace(n.get()).has_dns);
  {
    const test::UdpSocket near(n, "127.0.0.1", 53), similar(n, "127.0.0.110", 53);
    near.send("question", "127.0.0.11", 53);
    CHECK_FALSE(read_namespace(n.get()).has_dns);
  }
  {
    const test::UdpSocket resolver(n, "127.0.0.11", 0);
    CHECK(read_namespace(n.get()).has_dns);
    CHECK_FALSE(read_namespace(TestNamespace().get()).has_dns);
  }
  CHECK_FALSE(read_namespace(n.get()).has_dns);
}

TEST_CASE("read: a socket that is connected to 127.0.0.11 is no resolver") {
  const TestNamespace n;
  n.run("ip link set lo up");
  const InNetworkNamespace inside(n.get());
  const UniqueFd client{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(53);
  ::inet_pton(AF_INET, "127.0.0.11", &to.sin_addr);
  REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  CHECK_FALSE(read_namespace(n.get()).has_dns);
}

TEST_CASE("read: neighbours that someone set, and proxies") {
  const TestNamespace n, outside;
  add_veth(n, outside);
  n.run(
      "ip neigh add 172.17.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent;"
      "ip neigh add 172.17.0.7 lladdr 02:00:00:00:00:07 dev eth0 nud reachable;"
      "ip neigh add proxy 172.17.0.8 dev eth0; ip -6 neigh add proxy fd00::8 dev eth0");
  const Interface eth0 = interface_named(read_namespace(n.get()), "eth0");
  const std::vector<guestcomm::Neighbour> expected = {
      {"172.17.0.1", "02:00:00:00:00:01", NUD_PERMANENT, 0},
      {"172.17.0.8", "", 0, NTF_PROXY},
      {"fd00::8", "", 0, NTF_PROXY}};
  CHECK(eth0.neighbours == expected);
}

TEST_CASE("read: sysctls of the links, and of all of them") {
  const TestNamespace n, outside;
  add_veth(n, outside);
  n.run(
      "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6;"
      "echo 2 >/proc/sys/net/ipv4/conf/eth0/rp_filter; echo 1 >/proc/sys/net/ipv4/ip_forward");
  const auto sysctls = read_namespace(n.get()).sysctls;
  CHECK(sysctls.at("ipv6/conf/eth0/disable_ipv6") == "1");
  CHECK(sysctls.at("ipv4/conf/eth0/rp_filter") == "2");
  CHECK(sysctls.at("ipv4/conf/all/forwarding") == "1");
  CHECK(sysctls.contains("ipv4/conf/default/rp_filter"));
  CHECK(sysctls.contains("ipv6/conf/eth0/accept_ra"));
  CHECK_FALSE(sysctls.contains("ipv4/conf/eth0/proxy_arp"));  // nobody touched it
}

TEST_CASE("read: sysctls of the namespace, where they are not the kernel's own") {
  const TestNamespace n;
  n.run(
      "echo 70 >/proc/sys/net/ipv4/tcp_keepalive_time; echo 128 >/proc/sys/net/core/somaxconn;"
      "echo 1024 65000 >/proc/sys/net/ipv4/ip_local_port_range");
  const auto sysctls = read_namespace(n.get()).sysctls;
  CHECK(sysctls.at("ipv4/tcp_keepalive_time") == "70");
  CHECK(sysctls.at("core/somaxconn") == "128");
  CHECK_FALSE(sysctls.contains("ipv4/ip_local_port_range"));  // may be husk's own
  CHECK_FALSE(sysctls.contains("ipv4/tcp_fin_timeout"));
  CHECK_FALSE(sysctls.contains("ipv4/ip_default_ttl"));
}

TEST_CASE("read: what a link stands on, and whom it belongs to") {
  const TestNamespace n, outside;
  add_veth(n, outside);
  n.add_link("br0 type bridge");
  n.add_link("mac0 link eth0 type macvlan mode bridge");
  n.run("ip link add port0 type veth peer name port1; ip link set port0 master br0");
  const NamespaceContents contents = read_namespace(n.get());
  CHECK(interface_named(contents, "mac0").kind == "macvlan");
  CHECK(interface_named(contents, "mac0").parent == interface_named(contents, "eth0").index);
  CHECK(interface_named(contents, "port0").master == interface_named(contents, "br0").index);
}
