// SPDX-License-Identifier: Apache-2.0
// Each table of the kernel's by itself: links, addresses, neighbours, routes, rules. Together: apply_test.cpp.
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "agent/network/links.hpp"
#include "agent/network/routes.hpp"
#include "test/agent/network/own_network.hpp"

using namespace husk;
using namespace husk::agent;
using namespace husk::guestcomm;
using namespace husk::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A link "eth0" that is up and has 10.0.0.2/24 and fd00::2/64.
struct TableBench {
  OwnNetwork own;
  NetlinkSocket socket;
  int index = 0;

  TableBench() {
    ip("link add name eth0 type veth peer name peer-eth0");
    ip("link set peer-eth0 addrgenmode none up");
    ip("link set eth0 addrgenmode none arp off up");
    ip("addr add 10.0.0.2/24 dev eth0");
    ip("addr add fd00::2/64 dev eth0 nodad");
    index = static_cast<int>(::if_nametoindex("eth0"));
  }
};

template <class F>
std::string failure_of(F&& change) {
  try {
    change();
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

NetworkLink named(const std::string& name, const std::string& device) {
  return {.name = name,
          .device = device,
          .mac = "",
          .mtu = 0,
          .queue_length = 1000,
          .flags = 0,
          .addresses = {},
          .neighbours = {}};
}

Route unicast(const std::string& destination, std::vector<NextHop> hops) {
  Route made;
  made.destination = destination;
  made.table = RT_TABLE_MAIN;
  made.protocol = RTPROT_STATIC;
  made.type = RTN_UNICAST;
  made.hops = std::move(hops);
  return made;
}

/// With eth0, and what the kernel made of the addresses.
Network picture(std::vector<Route> routes) {
  Network network;
  network.links = {named("eth0", "02:00:00:00:00:0a")};
  Route local = unicast("10.0.0.0/24", {{"eth0", "", 0, 0}});
  local.protocol = RTPROT_KERNEL;
  local.scope = RT_SCOPE_LINK;
  local.preferred_source = "10.0.0.2";
  Route local6 = unicast("fd00::/64", {{"eth0", "", 0, 0}});
  local6.protocol = RTPROT_KERNEL;
  local6.priority = 256;
  network.routes = {local, local6};
  for (Route& route : routes) network.routes.push_back(std::move(route));
  return network;
}

Rule lookup(std::uint32_t priority, std::uint32_t table) {
  Rule made;
  made.priority = priority;
  made.table = table;
  made.action = FR_ACT_TO_TBL;
  made.protocol = RTPROT_STATIC;
  return made;
}

}  // namespace

TEST_CASE("links: a wanted link is found by its card, however the MAC is written",
          "[agent][network]") {
  const TableBench bench;
  const std::vector<Card> cards{{bench.index, "eth0", "02:00:00:00:00:0a"}};
  const auto place = [&](const std::vector<NetworkLink>& want) {
    return place_links(bench.socket, want, cards);
  };
  const PlacedLinks placed = place({named("lo", ""), named("net0", "02:00:00:00:00:0A")});
  REQUIRE(placed.size() == 2);
  CHECK(placed.at(1).name == "lo");
  CHECK(placed.at(bench.index).name == "net0");
  CHECK(failure_of([&] { place({named("net1", "02:00:00:00:00:0b")}); }) ==
        "link net1: there is no card 02:00:00:00:00:0b");
  CHECK(failure_of([&] {
          place({named("net0", "02:00:00:00:00:0a"), named("net1", "02:00:00:00:00:0a")});
        }) == "link net1: its card belongs to another link");
  CHECK(failure_of([&] {
          place({named("lo", ""), named("lo2", "")});
        }) == "link lo2: its card belongs to another link");
  CHECK(failure_of([&] { place({named("net0", "02:00:00:00:00:zz")}); }) ==
        "\"02:00:00:00:00:zz\" is not an address");
}

TEST_CASE("links: three names go round, and a name that cannot be had is said",
          "[agent][network]") {
  const TableBench bench;
  const auto index_of = [](const char* name) { return static_cast<int>(::if_nametoindex(name)); };
  ip("link add name eth1 type veth peer name eth2");
  const int first = index_of("eth0"), second = index_of("eth1"), third = index_of("eth2");
  PlacedLinks want{
      {first, named("eth1", "")}, {second, named("eth2", "")}, {third, named("eth0", "")}};
  apply_names(bench.socket, want);
  CHECK(index_of("eth1") == first);
  CHECK(index_of("eth2") == second);
  CHECK(index_of("eth0") == third);
  CHECK_THAT(failure_of([&] {
               apply_names(bench.socket, {{first, named("peer-eth0", "")}});
             }),
             ContainsSubstring("link peer-eth0: ") && ContainsSubstring("file exists"));
  CHECK_THAT(failure_of([&] {
               apply_names(bench.socket, {{second, named("sixteen-letters-", "")}});
             }),
             ContainsSubstring("link sixteen-letters-: "));
  CHECK(failure_of([&] {
          apply_names(bench.socket, {{9999, named("eth9", "")}});
        }) == "the link is gone");
}

TEST_CASE("links: MTU, MAC and flags are those wanted, the others stay", "[agent][network]") {
  const TableBench bench;
  NetworkLink want = named("eth0", "");
  want.mac = "02:42:AC:11:00:02";
  want.queue_length = 7;
  apply_names(bench.socket, {{bench.index, want}});
  CHECK_THAT(ip("-o link show eth0"), ContainsSubstring("02:42:ac:11:00:02") &&
                                          ContainsSubstring("qlen 7") &&
                                          ContainsSubstring("mtu 1500"));
  want.flags = IFF_PROMISC | IFF_ALLMULTI;
  apply_flags(bench.socket, {{bench.index, want}});
  CHECK_THAT(ip("-o link show eth0"), ContainsSubstring("PROMISC") &&
                                          ContainsSubstring("ALLMULTI") &&
                                          !ContainsSubstring("NOARP") && !ContainsSubstring(",UP"));
  want.mtu = 10;  // a veth has 68 at least
  CHECK_THAT(failure_of([&] {
               apply_names(bench.socket, {{bench.index, want}});
             }),
             ContainsSubstring("link eth0: ") && ContainsSubstring("invalid argument"));
}

TEST_CASE("addresses: of each kind, and a second time nothing changes", "[agent][network]") {
  const TableBench bench;
  NetworkLink want = named("eth0", "");
  want.addresses = {{"10.0.0.2/24", "", "10.0.0.255", ""},
                    {"10.0.0.3/24", "", "", "eth0:web"},
                    {"192.0.2.1/32", "192.0.2.2/32", "", ""},
                    {"10.9.0.1/16", "", "", "", 0, IFA_F_NOPREFIXROUTE},
                    {"FD00:0::2/64", "", "", ""},
                    {"fd00::9/128", "", "", "", 0, 0, 500, 0}};
  apply_addresses(bench.socket, bench.index, want);
  const std::string shown = ip("-o addr show eth0");
  CHECK_THAT(shown, ContainsSubstring("10.0.0.2/24 brd 10.0.0.255") &&
                        ContainsSubstring("10.0.0.3/24 scope global secondary eth0:web") &&
                        ContainsSubstring("192.0.2.1 peer 192.0.2.2/32") &&
                        ContainsSubstring("10.9.0.1/16 scope global noprefixroute") &&
                        ContainsSubstring("fd00::2/64") &&
                        ContainsSubstring("fd00::9/128 scope global nodad deprecated dynamic"));
  CHECK_THAT(ip("route"), !ContainsSubstring("10.9.0.0"));
  const auto stamps = [] { return ip("-d -o addr show eth0 | sed 's/valid_lft [0-9]*sec//'"); };
  const std::string before = stamps();
  apply_addresses(bench.socket, bench.index, want);
  CHECK(stamps() == before);
  want.addresses.clear();
  apply_addresses(bench.socket, bench.index, want);
  CHECK(ip("-o addr show eth0").empty());
}

TEST_CASE("addresses: one that is refused is named", "[agent][network]") {
  const TableBench bench;
  const auto failure = [&](const LinkAddress& address) {
    NetworkLink want = named("eth0", "");
    want.addresses = {address};
    return failure_of([&] { apply_addresses(bench.socket, bench.index, want); });
  };
  CHECK(failure({"10.0.0.2/", "", "", ""}) == "\"10.0.0.2/\" is not an address");
  CHECK(failure({"10.0.0.7/24", "10.0.0.256", "", ""}) == "\"10.0.0.256\" is not an address");
  CHECK(failure({"10.0.0.7/24", "", "all", ""}) == "\"all\" is not an address");
  CHECK_THAT(failure({"ff02::7/64", "", "", ""}), ContainsSubstring("address ff02::7/64: "));
  CHECK_THAT(failure({"10.0.0.7/24", "", "", "", 0, 0, 5, 6}),
             ContainsSubstring("address 10.0.0.7/24: invalid argument"));
}

TEST_CASE("neighbours: a changed one is replaced, one not wanted goes, those of the kernel stay",
          "[agent][network]") {
  const TableBench bench;
  ip("neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent");
  ip("neigh add 10.0.0.8 lladdr 02:00:00:00:00:08 dev eth0 nud stale");
  ip("neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev peer-eth0 nud permanent");
  ip("neigh add proxy fd00::77 dev eth0");
  NetworkLink want = named("eth0", "");
  want.neighbours = {{"10.0.0.9", "02:00:00:00:00:AA", NUD_PERMANENT, 0},
                     {"fd00::78", "", 0, NTF_PROXY},
                     {"FD00::0:5", "02:00:00:00:00:05", NUD_PERMANENT, NTF_ROUTER}};
  apply_neighbours(bench.socket, bench.index, want);
  CHECK_THAT(ip("neigh show dev eth0"),
             ContainsSubstring("10.0.0.9 lladdr 02:00:00:00:00:aa PERMANENT") &&
                 ContainsSubstring("10.0.0.8 lladdr 02:00:00:00:00:08 STALE"));
  CHECK_THAT(ip("-6 neigh show dev eth0"),
             ContainsSubstring("fd00::5 lladdr 02:00:00:00:00:05 router PERMANENT"));
  CHECK_THAT(ip("neigh show dev peer-eth0"), ContainsSubstring("10.0.0.7"));
  CHECK_THAT(ip("-6 neigh show proxy"),
             ContainsSubstring("fd00::78 dev eth0") && !ContainsSubstring("fd00::77"));
  want.neighbours = {{"10.0.0.9", "02:00:00:00:00:zz", NUD_PERMANENT, 0}};
  CHECK(failure_of([&] { apply_neighbours(bench.socket, bench.index, want); }) ==
        "\"02:00:00:00:00:zz\" is not an address");
}

TEST_CASE("routes: kinds without a hop, by their source, in tables beyond 255",
          "[agent][network]") {
  const TableBench bench;
  Route prohibit = unicast("10.20.0.0/16", {}), thrown = unicast("10.21.0.0/16", {});
  prohibit.type = RTN_PROHIBIT;
  thrown.type = RTN_THROW;
  thrown.table = 300;
  Route sourced = unicast("fd20::/64", {{"eth0", "fd00::1", 0, 0}});
  sourced.source = "FD00::/64";
  sourced.metrics = {{RTAX_HOPLIMIT, 9}};
  Route marked = unicast("10.22.0.0/16", {{"eth0", "10.0.0.1", 0, 0}});
  marked.tos = 0x10;
  const Network network = picture({prohibit, thrown, sourced, marked});
  apply_routes(bench.socket, network);
  const std::string routes = ip("route show table all"), routes6 = ip("-6 route show table all");
  CHECK_THAT(routes, ContainsSubstring("prohibit 10.20.0.0/16") &&
                         ContainsSubstring("throw 10.21.0.0/16 table 300") &&
                         ContainsSubstring("10.22.0.0/16 tos"));
  CHECK_THAT(routes6, ContainsSubstring("fd20::/64 from fd00::/64 via fd00::1 dev eth0"));
  CHECK_THAT(routes6, ContainsSubstring("hoplimit 9"));
  apply_routes(bench.socket, network);
  CHECK(ip("route show table all") == routes);
  CHECK(ip("-6 route show table all") == routes6);
  apply_routes(bench.socket, picture({}));
  CHECK_THAT(ip("route show table all"),
             !ContainsSubstring("10.20.") && !ContainsSubstring("10.21.") &&
                 !ContainsSubstring("10.22.") && ContainsSubstring("10.0.0.0/24"));
}

TEST_CASE("routes: those of the same destination keep their order", "[agent][network]") {
  const TableBench bench;
  std::vector<Route> routes;
  for (const std::uint8_t tos : {std::uint8_t{0}, std::uint8_t{0x10}})
    for (const char* gateway : {"10.0.0.1", "10.0.0.7", "10.0.0.4"}) {
      routes.push_back(unicast("0.0.0.0/0", {{"eth0", gateway, 0, 0}}));
      routes.back().tos = tos;
    }
  apply_routes(bench.socket, picture(routes));
  CHECK(ip("route show default tos 0 | cut -d ' ' -f 3") == "10.0.0.1\n10.0.0.7\n10.0.0.4\n");
  CHECK(ip("route show default tos 0x10 | cut -d ' ' -f 3") == "10.0.0.1\n10.0.0.7\n10.0.0.4\n");
}

TEST_CASE("routes: what a container made over links of its own stays", "[agent][network]") {
  const TableBench bench;
  ip("link add name own0 type veth peer name own1");
  ip("addr add 172.30.0.1/16 dev own0");
  ip("link set own0 up");
  ip("route add 172.31.0.0/16 via 172.30.0.9");
  ip("route add 172.29.0.0/16 nexthop via 172.30.0.9 nexthop via 10.0.0.9");
  ip("route add 10.5.0.0/16 via 10.0.0.9");
  apply_routes(bench.socket, picture({}));
  CHECK_THAT(ip("route"), ContainsSubstring("172.31.0.0/16 via 172.30.0.9 dev own0") &&
                              !ContainsSubstring("10.5.0.0/16") &&
                              !ContainsSubstring("172.29.0.0/16"));  // partly over eth0
}

TEST_CASE("routes: one that is refused is named as ip(8) does", "[agent][network]") {
  const TableBench bench;
  const auto failure = [&](std::vector<Route> routes) {
    return failure_of([&] { apply_routes(bench.socket, picture(std::move(routes))); });
  };
  CHECK(failure({unicast("10.7.0.0/16", {{"eth9", "", 0, 0}})}) ==
        "route 10.7.0.0/16 dev eth9: there is no link eth9");
  CHECK(failure({unicast("::/0", {{"eth0", "fd77::1", 0, 0}})}) ==
        "route default via fd77::1 dev eth0: no route to host");
  // Each is reached by way of the other.
  Route ring = unicast("10.8.0.0/16", {{"", "10.9.0.1", 0, 0}});
  ring.table = 700;
  CHECK(failure({ring, unicast("10.9.0.0/16", {{"", "10.8.0.1", 0, 0}})}) ==
        "route 10.8.0.0/16 via 10.9.0.1 table 700: network is unreachable");
  CHECK(failure({unicast("10.7.0.0/33", {})}) == "\"10.7.0.0/33\" is not an address");
  const std::vector<NextHop> many(3000, {"eth0", "10.0.0.1", 0, 0});
  CHECK_THAT(failure({unicast("10.7.0.0/16", many)}),
             ContainsSubstring("attribute too large for a netlink message"));
}

TEST_CASE("rules: each selector arrives, and is compared as the kernel tells it",
          "[agent][network]") {
  const TableBench bench;
  std::vector<Rule> rules{lookup(0, RT_TABLE_LOCAL), lookup(32766, RT_TABLE_MAIN),
                          lookup(32767, RT_TABLE_DEFAULT)};
  for (Rule& rule : rules) rule.protocol = RTPROT_KERNEL;
  Rule ports = lookup(10, 1000), links = lookup(11, 5), marks = lookup(12, 6), none = lookup(13, 0);
  ports.ip_protocol = 17;
  ports.source_ports = {53, 53};
  ports.source = "FD00:0::/64";
  ports.is_ipv6 = true;
  links.in_link = "eth0";
  links.suppress_group = 4;
  marks.mark = 7;  // without a mask: all bits
  marks.users = {5, 5};
  none.action = FR_ACT_UNREACHABLE;
  none.destination = "10.99.0.0/16";
  for (const Rule& rule : {ports, links, marks, none}) rules.push_back(rule);
  apply_rules(bench.socket, rules);
  const std::string shown = ip("rule"), shown6 = ip("-6 rule");
  CHECK_THAT(shown, ContainsSubstring("11:\tfrom all iif eth0 lookup 5") &&
                        ContainsSubstring("suppress_ifgroup 4") &&
                        ContainsSubstring("12:\tfrom all fwmark 0x7 uidrange 5-5 lookup 6") &&
                        ContainsSubstring("13:\tfrom all to 10.99.0.0/16 unreachable"));
  CHECK_THAT(shown6, ContainsSubstring("from fd00::/64 ipproto udp sport 53 lookup 1000") &&
                         !ContainsSubstring("32766"));  // those of IPv6 are not wanted
  apply_rules(bench.socket, rules);
  CHECK(ip("rule") == shown);
  CHECK(ip("-6 rule") == shown6);
}

TEST_CASE("rules: one that is refused is named, and none was taken away before",
          "[agent][network]") {
  const TableBench bench;
  const std::string before = ip("rule");
  Rule source = lookup(50, 7), both = lookup(51, 7);
  source.source = "10.0.0.0/40";
  CHECK(failure_of([&] { apply_rules(bench.socket, {source}); }) ==
        "\"10.0.0.0/40\" is not an address");
  both.is_ipv6 = true;
  both.table = 0;
  CHECK_THAT(failure_of([&] {
               apply_rules(bench.socket, {lookup(49, 7), both});
             }),
             ContainsSubstring("IPv6 rule 51: "));
  CHECK_THAT(ip("rule"), ContainsSubstring(before.substr(before.find("32766"))) &&
                             ContainsSubstring("lookup local"));
}
