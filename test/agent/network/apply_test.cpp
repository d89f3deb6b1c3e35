// SPDX-License-Identifier: Apache-2.0
// In network namespaces of their own: veth links stand for the guest's cards.
#include "agent/network/apply.hpp"

#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <thread>

#include "agent/network/address.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "test/agent/network/own_network.hpp"

using namespace husk;
using namespace husk::agent;
using namespace husk::guestcomm;
using namespace husk::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Makes "fd00::2/64" on eth0 once, `delay` from now, as a kernel that hears a router does.
std::thread make_address_after(std::chrono::microseconds delay) {
  return std::thread([due = std::chrono::steady_clock::now() + delay] {
    const NetlinkSocket socket;
    const IpPrefix local = parse_ip("fd00::2");
    ifa_cacheinfo times{};
    times.ifa_valid = times.ifa_prefered = 900;
    ifaddrmsg header{};
    header.ifa_family = AF_INET6;
    header.ifa_prefixlen = 64;
    header.ifa_flags = IFA_F_NODAD;
    header.ifa_index = ::if_nametoindex("eth0");
    NetlinkMessage message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, header);
    message.put(IFA_LOCAL, local.bytes.data(), local.size());
    message.put(IFA_CACHEINFO, &times, sizeof times);
    while (std::chrono::steady_clock::now() < due) continue;
    try {
      socket.change(message);
    } catch (const Error&) {
      // The agent was first.
    }
  });
}

constexpr const char *device_a = "02:00:00:00:00:0a", *device_b = "02:00:00:00:00:0b";

LinkAddress address(const std::string& text, const std::string& broadcast = "") {
  LinkAddress made;
  made.address = text;
  made.broadcast = broadcast;
  return made;
}

NetworkLink loopback() {
  LinkAddress own = address("127.0.0.1/8");
  own.scope = RT_SCOPE_HOST;
  return {.name = "lo",
          .device = "",
          .mac = "",
          .mtu = 65536,
          .queue_length = 1000,
          .flags = IFF_UP,
          .addresses = {own, address("::1/128")},
          .neighbours = {}};
}

NetworkLink link(const std::string& name, const std::string& device, const std::string& mac,
                 std::vector<LinkAddress> addresses) {
  return {.name = name,
          .device = device,
          .mac = mac,
          .mtu = 1500,
          .queue_length = 1000,
          .flags = IFF_UP | IFF_NOARP,
          .addresses = std::move(addresses),
          .neighbours = {}};
}

Route route(const std::string& destination, std::vector<NextHop> hops, std::uint8_t scope = 0) {
  Route made;
  made.destination = destination;
  made.table = RT_TABLE_MAIN;
  made.protocol = RTPROT_STATIC;
  made.scope = scope;
  made.type = RTN_UNICAST;
  made.hops = std::move(hops);
  return made;
}

/// What the kernel makes of an address.
Route prefix_route(const std::string& destination, const std::string& name,
                   const std::string& source = "") {
  Route made = route(destination, {{name, "", 0, 0}}, source.empty() ? 0 : RT_SCOPE_LINK);
  made.protocol = RTPROT_KERNEL;
  made.preferred_source = source;
  if (source.empty()) made.priority = 256;
  return made;
}

Rule table_rule(std::uint32_t priority, std::uint32_t table, bool is_ipv6 = false) {
  Rule made;
  made.is_ipv6 = is_ipv6;
  made.priority = priority;
  made.table = table;
  made.action = FR_ACT_TO_TBL;
  made.protocol = RTPROT_KERNEL;
  return made;
}

/// Two links, whose names are the wrong way round at first.
Network two_links() {
  Network network;
  network.links = {loopback(),
                   link("eth0", device_a, "02:42:0a:00:00:02",
                        {address("10.0.0.2/24", "10.0.0.255"), address("10.0.0.3/24"),
                         address("fd00::2/64"), address("fe80::42:aff:fe00:2/64")}),
                   link("eth1", device_b, "02:42:0a:01:00:02", {address("10.1.0.2/24")})};
  network.links[1].addresses.at(3).scope = RT_SCOPE_LINK;
  network.routes = {route("0.0.0.0/0", {{"eth0", "10.0.0.1", 0, 0}}),
                    route("::/0", {{"eth0", "fd00::1", 0, 0}}),
                    prefix_route("10.0.0.0/24", "eth0", "10.0.0.2"),
                    prefix_route("10.1.0.0/24", "eth1", "10.1.0.2"),
                    prefix_route("fd00::/64", "eth0"),
                    prefix_route("fe80::/64", "eth0"),
                    prefix_route("::1/128", "lo")};
  network.rules = {table_rule(0, RT_TABLE_LOCAL), table_rule(32766, RT_TABLE_MAIN),
                   table_rule(32767, RT_TABLE_DEFAULT), table_rule(0, RT_TABLE_LOCAL, true),
                   table_rule(32766, RT_TABLE_MAIN, true)};
  return network;
}

/// Everything, without what counts.
std::string whole_picture() {
  return ip("-o link") + ip("-o addr") + ip("route show table all") +
         ip("-6 route show table all") + ip("rule") + ip("-6 rule") +
         ip("neigh show nud permanent") + ip("neigh show proxy");
}

std::string error_of(const Network& network, Cards& cards) {
  try {
    apply_network(network, cards);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("apply_network: links get their names, swapped ones too, addresses and routes",
          "[agent][network]") {
  const OwnNetwork own;
  VethCards cards;
  cards.add("eth1", device_a);
  cards.add("eth0", device_b);
  apply_network(two_links(), cards);
  const std::string addresses = ip("-o addr"), links = ip("-o link");
  CAPTURE(addresses, links);
  CHECK_THAT(ip("-o link show eth0"),
             ContainsSubstring("02:42:0a:00:00:02") && ContainsSubstring("UP"));
  CHECK_THAT(ip("-o link show eth1"), ContainsSubstring("02:42:0a:01:00:02"));
  CHECK_THAT(ip("-o -4 addr show eth0"),
             ContainsSubstring("10.0.0.2/24 brd 10.0.0.255") && ContainsSubstring("10.0.0.3/24"));
  CHECK_THAT(ip("-o -6 addr show eth0"),
             ContainsSubstring("fd00::2/64") && ContainsSubstring("fe80::42:aff:fe00:2/64"));
  CHECK(ip("-o -6 addr show eth1").empty());  // none that the picture does not have
  CHECK_THAT(ip("route"), ContainsSubstring("default via 10.0.0.1 dev eth0"));
  CHECK_THAT(ip("-6 route"), ContainsSubstring("default via fd00::1 dev eth0"));
  CHECK_THAT(sysctl("ipv6/conf/eth0/accept_ra"), ContainsSubstring("0"));
  CHECK_THAT(sysctl("ipv4/ip_local_reserved_ports"), ContainsSubstring("61440-61951"));
}

TEST_CASE("apply_network: the same picture once more changes nothing", "[agent][network]") {
  const OwnNetwork own;
  VethCards cards;
  cards.add("a", device_a);
  cards.add("b", device_b);
  apply_network(two_links(), cards);
  ip("-V >/dev/null; sleep 0.3");  // links are ready a moment after they went up
  apply_network(two_links(), cards);
  const std::string before = whole_picture();
  const std::string log = "/tmp/husk-monitor-" + std::to_string(::getpid());
  ip("monitor all >" + log + " 2>&1 & echo $! >" + log + ".pid; sleep 0.3");
  apply_network(two_links(), cards);
  ip("-V >/dev/null; sleep 0.3");
  CHECK(read_file(log, 1u << 20).empty());
  ip("addr add 10.77.0.1/24 dev eth0; sleep 0.3; kill $(cat " + log + ".pid)");
  CHECK_THAT(read_file(log, 1u << 20), ContainsSubstring("10.77.0.1"));  // it was listening
  ip("addr del 10.77.0.1/24 dev eth0");
  ::unlink(log.c_str());
  ::unlink((log + ".pid").c_str());
  CHECK(whole_picture() == before);
}

TEST_CASE("apply_network: routes of every kind", "[agent][network]") {
  const OwnNetwork own;
  VethCards cards;
  cards.add("a", device_a);
  cards.add("b", device_b);
  Network network = two_links();
  Route blackhole = route("10.9.0.0/16", {});
  blackhole.type = RTN_BLACKHOLE;
  Route unreachable6 = route("fd99::/64", {});
  unreachable6.type = RTN_UNREACHABLE;
  Route metrics = route("10.8.0.0/16", {{"eth0", "10.0.0.9", 0, 0}});
  metrics.metrics = {{RTAX_MTU, 1400}, {RTAX_ADVMSS, 1360}};
  metrics.preferred_source = "10.0.0.3";
  metrics.priority = 77;
  Route other_table = route("0.0.0.0/0", {{"eth1", "10.1.0.1", 0, 0}});
  other_table.table = 1000;
  Route high = route("fd05::/64", {{"eth0", "fd00::9", 0, 0}});
  high.preference = 1;
  Route high_two = route("fd06::/64", {{"eth0", "fd00::9", 1, 0}, {"eth0", "fd00::8", 0, 0}});
  network.routes.insert(
      network.routes.begin(),
      {route("10.7.0.0/16", {{"eth0", "10.0.0.7", 2, 0}, {"eth1", "10.1.0.7", 0, 0}}),
       route("10.6.0.0/16", {{"eth0", "192.168.9.1", 0, RTNH_F_ONLINK}}),
       route("10.5.0.0/16", {{"eth0", "fe80::1", 0, 0}}),
       route("10.4.0.0/16", {{"eth0", "192.0.2.1", 0, 0}}),  // its gateway comes by the next
       route("192.0.2.1/32", {{"eth0", "", 0, 0}}, RT_SCOPE_LINK), blackhole, unreachable6, metrics,
       other_table, high, high_two});
  apply_network(network, cards);
  const std::string routes = ip("route show table all"), routes6 = ip("-6 route show table all");
  CAPTURE(routes, routes6);
  CHECK_THAT(routes, ContainsSubstring("blackhole 10.9.0.0/16"));
  CHECK_THAT(routes6, ContainsSubstring("unreachable fd99::/64"));
  CHECK_THAT(routes,
             ContainsSubstring("10.8.0.0/16 via 10.0.0.9 dev eth0 proto static src 10.0.0.3 "
                               "metric 77 mtu 1400 advmss 1360"));
  CHECK_THAT(routes, ContainsSubstring("default via 10.1.0.1 dev eth1 table 1000"));
  CHECK_THAT(routes, ContainsSubstring("nexthop via 10.0.0.7 dev eth0 weight 3"));
  CHECK_THAT(routes, ContainsSubstring("10.6.0.0/16 via 192.168.9.1 dev eth0 proto static onlink"));
  CHECK_THAT(routes, ContainsSubstring("10.5.0.0/16 via inet6 fe80::1 dev eth0"));
  CHECK_THAT(routes, ContainsSubstring("10.4.0.0/16 via 192.0.2.1 dev eth0"));
  CHECK_THAT(routes6, ContainsSubstring("pref high"));
  CHECK_THAT(routes6, ContainsSubstring("nexthop via fd00::9 dev eth0 weight 2"));
  apply_network(network, cards);
  CHECK(ip("route show table all") == routes);
  CHECK(ip("-6 route show table all") == routes6);
  apply_network(two_links(), cards);
  CHECK_THAT(ip("route show table all"),
             !ContainsSubstring("proto static\n10.") && !ContainsSubstring("blackhole") &&
                 !ContainsSubstring("10.7.") && !ContainsSubstring("table 1000"));
  CHECK_THAT(ip("-6 route show table all"), !ContainsSubstring("fd06") &&
                                                !ContainsSubstring("fd99") &&
                                                ContainsSubstring("fd00::1"));
}

TEST_CASE("apply_network: an address that the kernel makes meanwhile is no error",
          "[agent][network]") {
  const OwnNetwork own;
  VethCards cards;
  cards.add("a", device_a);
  cards.add("b", device_b);
  Network with = two_links(), without = two_links();
  with.links[1].addresses[2].valid_lifetime = 3600;
  with.links[1].addresses[2].preferred_lifetime = 3600;
  without.links[1].addresses.erase(without.links[1].addresses.begin() + 2);
  apply_network(without, cards);
  const auto begin = std::chrono::steady_clock::now();
  apply_network(with, cards);
  const auto duration = std::chrono::steady_clock::now() - begin;
  constexpr int rounds = 400;
  for (int round = 0; round < rounds; ++round) {
    apply_network(without, cards);
    std::thread kernel = make_address_after(
        std::chrono::duration_cast<std::chrono::microseconds>(duration * round / rounds));
    const std::string error = error_of(with, cards);
    kernel.join();
    REQUIRE(error.empty());
  }
  CHECK_THAT(ip("-o -6 addr show eth0"), ContainsSubstring("fd00::2/64"));
}

TEST_CASE(
    "apply_network: an address or route that a router advertised is replaced by the wanted one",
    "[agent][network]") {
  const OwnNetwork own;
  VethCards cards;
  cards.add("eth0", device_a);
  cards.add("eth1", device_b);
  Network network = two_links();
  network.links[1].flags = IFF_UP;  // with NOARP no address is checked
  ip("link set eth0 addrgenmode none up");
  ip("-V >/dev/null; sleep 0.3");
  ip("addr add fd00::2/64 dev eth0 valid_lft 900 preferred_lft 900");
  ip("-6 route add default via fd00::1 dev eth0 proto ra metric 1024 expires 900");
  CHECK_THAT(ip("-o -6 addr show eth0"), ContainsSubstring("tentative"));
  SECTION("with an end") {}
  SECTION("for ever, but not checked to the end") {
    ip("addr change fd00::2/64 dev eth0 valid_lft forever preferred_lft forever");
  }
  CHECK(error_of(network, cards).empty());
  CHECK_THAT(ip("-o -6 addr show eth0"), ContainsSubstring("fd00::2/64") &&
                                             ContainsSubstring("valid_lft forever") &&
                                             !ContainsSubstring("tentative"));
  CHECK_THAT(ip("-6 route show default"),
             ContainsSubstring("via fd00::1") && ContainsSubstring("proto static") &&
                 !ContainsSubstring("expires") && !ContainsSubstring("proto ra"));
}

TEST_CASE("apply_network: rules, neighbours, proxies, MTU and queue", "[agent][network]") {
  const OwnNetwork own;
  VethCards cards;
  cards.add("a", device_a);
  cards.add("b", device_b);
  Network network = two_links();
  network.links[1].mtu = 9000;
  network.links[1].queue_length = 42;
  network.links[1].neighbours = {{"10.0.0.1", "02:00:00:00:01:01", NUD_PERMANENT, 0},
                                 {"fd00::1", "02:00:00:00:01:02", NUD_PERMANENT, 0},
                                 {"10.0.0.77", "", 0, NTF_PROXY}};
  Rule from = table_rule(100, 1000);
  from.source = "10.1.0.0/24";
  from.out_link = "eth1";
  Rule full = table_rule(101, 70000);
  full.destination = "192.0.2.0/24";
  full.mark = 0x10;
  full.mark_mask = 0xf0;
  full.ip_protocol = 6;
  full.destination_ports = {80, 443};
  full.users = {0, 1000};
  full.is_inverted = true;
  full.tos = 0x10;
  Rule suppress = table_rule(102, RT_TABLE_MAIN, true);
  suppress.suppress_prefix_length = 0;
  Rule jump = table_rule(103, 0);
  jump.action = FR_ACT_GOTO;
  jump.goto_priority = 32766;
  network.rules.insert(network.rules.end(), {from, full, suppress, jump});
  apply_network(network, cards);
  const std::string rules = ip("rule"), rules6 = ip("-6 rule");
  CHECK_THAT(rules, ContainsSubstring("from 10.1.0.0/24 oif eth1 lookup 1000"));
  CHECK_THAT(rules, ContainsSubstring("not from all to 192.0.2.0/24") &&
                        ContainsSubstring("fwmark 0x10/0xf0") &&
                        ContainsSubstring("dport 80-443") && ContainsSubstring("uidrange 0-1000") &&
                        ContainsSubstring("lookup 70000"));
  CHECK_THAT(rules, ContainsSubstring("goto 32766"));
  CHECK_THAT(rules6, ContainsSubstring("suppress_prefixlength 0"));
  CHECK_THAT(ip("neigh show nud permanent"),
             ContainsSubstring("10.0.0.1 dev eth0 lladdr 02:00:00:00:01:01"));
  CHECK_THAT(ip("neigh show proxy"), ContainsSubstring("10.0.0.77 dev eth0"));
  CHECK_THAT(ip("link show eth0"), ContainsSubstring("mtu 9000") && ContainsSubstring("qlen 42"));
  apply_network(network, cards);
  CHECK(ip("rule") == rules);
  CHECK(ip("-6 rule") == rules6);
  apply_network(two_links(), cards);
  CHECK(ip("rule | wc -l") == "3\n");
  CHECK(ip("-6 rule | wc -l") == "2\n");
  CHECK(ip("neigh show nud permanent dev eth0").empty());
  CHECK(ip("neigh show proxy").empty());
}

TEST_CASE("apply_network: a picture that changed, and what a container made", "[agent][network]") {
  const OwnNetwork own;
  VethCards cards;
  cards.add("a", device_a);
  cards.add("b", device_b);
  apply_network(two_links(), cards);
  ip("link add name docker0 type veth peer name peer-docker0");
  ip("addr add 172.30.0.1/16 dev docker0");
  ip("link set docker0 up");
  Network network = two_links();
  network.links.pop_back();
  network.links[1].addresses.erase(network.links[1].addresses.begin());  // and its second one stays
  std::erase_if(network.routes, [](const Route& r) {
    return r.destination == "10.1.0.0/24" || r.destination == "10.0.0.0/24";
  });
  network.routes.push_back(prefix_route("10.0.0.0/24", "eth0", "10.0.0.3"));
  network.routes[0].hops[0].gateway = "10.0.0.254";
  apply_network(network, cards);
  CHECK_THAT(ip("-o link"), !ContainsSubstring("eth1"));
  CHECK_THAT(ip("-o -4 addr show eth0"),
             !ContainsSubstring("10.0.0.2/") && ContainsSubstring("10.0.0.3/24"));
  const std::string routes = ip("route");
  CHECK_THAT(routes, ContainsSubstring("default via 10.0.0.254") &&
                         !ContainsSubstring("10.0.0.1 ") &&
                         ContainsSubstring("172.30.0.0/16 dev docker0"));
  CHECK(ip("route | grep -c 10.0.0.0/24") == "1\n");
}

TEST_CASE("apply_network: errors name what they are about", "[agent][network]") {
  const OwnNetwork own;
  VethCards cards;
  cards.add("a", device_a);
  Network network = two_links();
  CHECK(missing_cards(network, cards) == std::vector<std::string>{"eth1"});
  CHECK_THAT(error_of(network, cards),
             ContainsSubstring("network: link eth1: there is no card 02:00"));
  network.links.pop_back();
  std::erase_if(network.routes, [](const Route& r) { return r.destination == "10.1.0.0/24"; });
  SECTION("a gateway that is nowhere") {
    network.routes.push_back(route("10.3.0.0/16", {{"eth0", "192.0.2.9", 0, 0}}));
    CHECK(error_of(network, cards) ==
          "network: route 10.3.0.0/16 via 192.0.2.9 dev eth0: network is unreachable");
  }
  SECTION("a sysctl of no link, one that leads out, and one that no kernel knows") {
    network.sysctls = {{"ipv4/conf/eth7/forwarding", "1"}};
    CHECK_THAT(error_of(network, cards), ContainsSubstring("sysctl net/ipv4/conf/eth7/forwarding"));
    network.sysctls = {{"ipv4/../../kernel/hostname", "1"}};
    CHECK_THAT(error_of(network, cards), ContainsSubstring("not a valid name"));
    network.sysctls = {{"ipv4/conf/eth0/no_such_thing", "1"}, {"ipv4/conf/eth0/forwarding", "1"}};
    CHECK(error_of(network, cards).empty());
    CHECK(sysctl("ipv4/conf/eth0/forwarding") == "1\n");
  }
  SECTION("an address that is none") {
    network.links[1].addresses[0].address = "10.0.0.1/33";
    CHECK_THAT(error_of(network, cards), ContainsSubstring("network: link eth0: \"10.0.0.1/33\""));
  }
}

TEST_CASE("apply_network: sysctls, and those that a container set", "[agent][network]") {
  const OwnNetwork own;
  VethCards cards;
  cards.add("a", device_a);
  cards.add("b", device_b);
  Network network = two_links();
  network.sysctls = {{"ipv4/ip_forward", "1"},
                     {"ipv4/conf/eth0/forwarding", "0"},
                     {"ipv4/conf/eth0/rp_filter", "2"},
                     {"ipv4/ip_local_reserved_ports", "61900-62000,80"},
                     {"ipv6/conf/eth1/disable_ipv6", "1"}};
  ip("link set dev a name eth0");
  write_existing("/proc/sys/net/ipv4/conf/eth0/rp_filter", "1");
  apply_network(network, cards, {"ipv4/conf/eth0/rp_filter"});
  CHECK(sysctl("ipv4/ip_forward") == "1\n");
  CHECK(sysctl("ipv4/conf/eth0/forwarding") == "0\n");
  CHECK(sysctl("ipv4/conf/eth0/rp_filter") == "1\n");
  CHECK(sysctl("ipv4/ip_local_reserved_ports") == "80,61440-62000\n");
  CHECK(sysctl("ipv6/conf/eth1/disable_ipv6") == "1\n");
  // IPv6 switched off by the container: what the picture has of it is left out.
  write_existing("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1");
  apply_network(network, cards);
  CHECK(ip("-o -6 addr show eth0").empty());
}
