// SPDX-License-Identifier: Apache-2.0
// The guest's network by the agent, in a real guest and through its protocol.
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/guestcomm/protocol/network.hpp"
#include "test/agent/vm_container.hpp"

using Catch::Matchers::ContainsSubstring;
using husk::UniqueFd;
using namespace husk::guestcomm;
using namespace husk::test;
using namespace std::chrono_literals;

namespace {

/// Throws what the agent answers.
void configure(const Network& network) {
  AgentClient connection(guest().access(), 20s, ErrorWords::of_the_agent);
  const UniqueFd socket = connection.release();
  write_frame(socket.get(), encode(make_request(7, ConfigureNetwork{network})));
  const auto answer = read_frame(socket.get());
  REQUIRE(answer);
  const Response response = decode_response(*answer);
  if (const auto* error = std::get_if<husk::Error>(&response.outcome)) throw husk::Error(*error);
}

LinkAddress address(const char* text, const char* broadcast = "") {
  LinkAddress made;
  made.address = text;
  made.broadcast = broadcast;
  return made;
}

Network loopback_only() {
  LinkAddress own = address("127.0.0.1/8");
  own.scope = RT_SCOPE_HOST;
  Network network;
  NetworkLink& loopback = network.links.emplace_back();
  loopback.name = "lo";
  loopback.mtu = 65536;
  loopback.queue_length = 1000;
  loopback.flags = IFF_UP;
  loopback.addresses = {own, address("::1/128")};
  Route own_route;
  own_route.destination = "::1/128";
  own_route.table = RT_TABLE_MAIN;
  own_route.priority = 256;
  own_route.protocol = RTPROT_KERNEL;
  own_route.type = RTN_UNICAST;
  own_route.hops = {{"lo", "", 0, 0}};
  network.routes = {own_route};
  for (const auto& [is_ipv6, priority, table] : {std::tuple{false, 0u, 255u},
                                                 {false, 32766u, 254u},
                                                 {false, 32767u, 253u},
                                                 {true, 0u, 255u},
                                                 {true, 32766u, 254u}}) {
    Rule rule;
    rule.is_ipv6 = is_ipv6;
    rule.priority = priority;
    rule.table = table;
    rule.action = FR_ACT_TO_TBL;
    rule.protocol = RTPROT_KERNEL;
    network.rules.push_back(rule);
  }
  return network;
}

Network one_card(const char* name) {
  Network network = loopback_only();
  NetworkLink card;
  card.name = name;
  card.device = husk::test::guest_card;
  card.mac = "02:42:ac:11:00:02";
  card.mtu = 1400;
  card.queue_length = 1000;
  card.flags = IFF_UP | IFF_MULTICAST;
  card.addresses = {address("172.17.0.2/16", "172.17.255.255"), address("fd00::2/64")};
  network.links.push_back(card);
  Route gateway;
  gateway.destination = "0.0.0.0/0";
  gateway.table = RT_TABLE_MAIN;
  gateway.protocol = RTPROT_BOOT;
  gateway.type = RTN_UNICAST;
  gateway.hops = {{name, "172.17.0.1", 0, 0}};
  Route prefix = gateway;
  prefix.destination = "172.17.0.0/16";
  prefix.protocol = RTPROT_KERNEL;
  prefix.scope = RT_SCOPE_LINK;
  prefix.preferred_source = "172.17.0.2";
  prefix.hops = {{name, "", 0, 0}};
  Route prefix6 = prefix;
  prefix6.destination = "fd00::/64";
  prefix6.scope = 0;
  prefix6.priority = 256;
  prefix6.preferred_source.clear();
  network.routes.insert(network.routes.end(), {gateway, prefix, prefix6});
  return network;
}

constexpr const char* look_at_network =
    "ls /sys/class/net; busybox ip -o addr; busybox ip route; busybox ip -6 route";

}  // namespace

TEST_CASE("agent: the network is as the host says, and a second time nothing changes", "[vm]") {
  const std::string id = new_id();
  husk::oci::Spec spec = make_spec(
      id,
      {"sh", "-c", std::string(look_at_network) + "; cat /proc/sys/net/ipv4/conf/web0/rp_filter"});
  spec.linux_.sysctl = {{"net.ipv4.conf.web0.rp_filter", "2"}};  // of a link that comes later
  Running container(id, spec);
  container.own();
  CHECK_THROWS_WITH(container.start(), ContainsSubstring("sysctl net/ipv4/conf/web0/rp_filter"));
  Network network = one_card("web0");
  network.sysctls = {{"ipv4/conf/web0/rp_filter", "0"}, {"ipv4/conf/web0/arp_ignore", "1"}};
  configure(network);
  container.start();
  const Ended outcome = container.finish();
  CAPTURE(outcome.out, outcome.err);
  CHECK_THAT(outcome.out, ContainsSubstring("lo\nweb0\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("172.17.0.2/16 brd 172.17.255.255"));
  CHECK_THAT(outcome.out, ContainsSubstring("fd00::2/64"));
  CHECK_THAT(outcome.out, !ContainsSubstring("inet6 fe80"));  // none of its own
  CHECK_THAT(outcome.out, ContainsSubstring("default via 172.17.0.1 dev web0"));
  CHECK(outcome.out.ends_with("\n2\n"));
  client().call(DeleteContainer{id}, 20s);
  const std::string before = shell(look_at_network).out;
  configure(network);
  CHECK(shell(look_at_network).out == before);
  configure(one_card("eth0"));
  CHECK_THAT(shell(look_at_network).out, ContainsSubstring("eth0\nlo\n") &&
                                             ContainsSubstring("default via 172.17.0.1 dev eth0"));
}

TEST_CASE("agent: a card that is not in the picture is taken away, and comes back", "[vm]") {
  guest();
  client();
  configure(loopback_only());
  CHECK(shell("ls /sys/class/net").out == "lo\n");
  configure(one_card("eth0"));  // by looking at the bus once more
  CHECK(shell("ls /sys/class/net").out == "eth0\nlo\n");
  Network network = one_card("eth0");
  network.links[1].device = "02:00:00:00:00:99";
  CHECK_THROWS_WITH(configure(network), "network: the guest has no card for eth0");
  configure(loopback_only());
  CHECK(shell("ls /sys/class/net; busybox ip route").out == "lo\n");
}
