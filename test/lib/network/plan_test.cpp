// SPDX-License-Identifier: Apache-2.0
#include "lib/network/plan.hpp"

#include <net/if.h>
#include <net/if_arp.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::network;
using Catch::Matchers::Message;

namespace {

Interface interface_of(int index, const std::string& name, const std::string& kind) {
  Interface i;
  i.index = index, i.name = name, i.kind = kind;
  i.type = ARPHRD_ETHER, i.flags = IFF_UP | IFF_BROADCAST | IFF_MULTICAST;
  i.mac = "02:00:00:00:00:0" + std::to_string(index), i.mtu = 1500;
  return i;
}

Interface loopback() {
  Interface lo = interface_of(1, "lo", "");
  lo.type = ARPHRD_LOOPBACK, lo.flags = IFF_UP | IFF_LOOPBACK, lo.mac = "";
  lo.addresses.resize(2);
  lo.addresses[0].address = "127.0.0.1/8", lo.addresses[1].address = "10.9.9.9/32";
  return lo;
}

Interface without_frames(const std::string& name, const std::string& kind, std::uint32_t flags) {
  Interface i = interface_of(5, name, kind);
  i.type = ARPHRD_NONE, i.flags = flags, i.mac = "";
  return i;
}

guestcomm::Route route_over(const std::vector<std::string>& links) {
  guestcomm::Route route;
  route.destination = "0.0.0.0/0";
  for (const std::string& link : links) route.hops.push_back({link, "", 0, 0});
  return route;
}

const std::vector<NetworkCard> two_cards = {{"52:54:00:00:00:01", "husk1"},
                                            {"52:54:00:00:00:02", "husk2"}};

}  // namespace

TEST_CASE("plan: each interface gets a card, in the order of the namespace") {
  NamespaceContents contents;
  contents.interfaces = {loopback(), interface_of(2, "eth0", "veth"),
                         interface_of(3, "m0", "macvlan")};
  const NetworkPlan plan = plan_network(contents, two_cards);
  REQUIRE(plan.plugs.size() == 2);
  CHECK(plan.plugs[0].interface == "eth0");
  CHECK(plan.plugs[0].card.tap == "husk1");
  CHECK(plan.plugs[0].card.interface == 2);
  CHECK(plan.plugs[1].card.tap == "husk2");
  REQUIRE(plan.network.links.size() == 3);
  CHECK(plan.network.links[0].name == "lo");
  CHECK(plan.network.links[0].device.empty());
  CHECK(plan.network.links[0].addresses.size() == 2);
  CHECK(plan.network.links[1].device == "52:54:00:00:00:01");
  CHECK(plan.network.links[1].mac == "02:00:00:00:00:02");
  CHECK(plan.network.links[1].flags == (IFF_UP | IFF_MULTICAST));
}

TEST_CASE("plan: a card goes on serving its interface when another one is gone") {
  NamespaceContents contents;
  contents.interfaces = {loopback(), interface_of(3, "eth1", "veth"),
                         interface_of(4, "eth2", "veth")};
  std::vector<NetworkCard> cards = two_cards;
  cards[0].interface = 2;  // gone
  cards[1].interface = 3;
  const NetworkPlan plan = plan_network(contents, cards);
  CHECK(plan.plugs.at(0).card == cards[1]);
  CHECK(plan.plugs.at(1).card.tap == "husk1");
  CHECK(plan.plugs.at(1).card.interface == 4);
  CHECK(plan.unused.empty());
  contents.interfaces.pop_back();
  CHECK(plan_network(contents, cards).unused == std::vector<NetworkCard>{two_cards[0]});
}

TEST_CASE("plan: more interfaces than cards are an error with both numbers") {
  NamespaceContents contents;
  contents.interfaces = {interface_of(2, "a", "veth"), interface_of(3, "b", "veth"),
                         interface_of(4, "c", "veth")};
  CHECK(cards_needed(contents) == 3);
  CHECK_THROWS_MATCHES(
      plan_network(contents, two_cards), Error,
      Message("the network namespace has 3 interfaces, the VM has 2 network cards"));
}

TEST_CASE("plan: husk's taps, fallback devices and ports of a bridge get no card") {
  NamespaceContents contents;
  Interface fallback = interface_of(4, "gretap0", "gretap");
  fallback.flags = 0;
  Interface port = interface_of(6, "port0", "veth");
  port.master = 5;
  contents.interfaces = {loopback(),
                         interface_of(2, "husk1", "tun"),
                         interface_of(3, "tap0", "tun"),
                         fallback,
                         interface_of(5, "br0", "bridge"),
                         port,
                         without_frames("sit0", "sit", 0)};
  const NetworkPlan plan = plan_network(contents, two_cards);
  REQUIRE(plan.plugs.size() == 2);
  CHECK(plan.plugs[0].interface == "tap0");
  CHECK(plan.plugs[1].interface == "br0");
}

TEST_CASE("plan: an interface in use that cannot be carried is refused by name") {
  NamespaceContents contents;
  contents.interfaces = {loopback(), without_frames("wg0", "wireguard", IFF_UP)};
  CHECK_THROWS_MATCHES(
      cards_needed(contents), Error,
      Message(
          "network interface wg0: wireguard carries no Ethernet frames, which a VM's card needs"));
  Interface vlan = interface_of(3, "eth0.5", "vlan");
  vlan.parent = 2;
  contents.interfaces = {interface_of(2, "eth0", "veth"), vlan};
  CHECK_THROWS_MATCHES(cards_needed(contents), Error,
                       Message("network interface eth0.5: a vlan on eth0 in the same namespace, "
                               "which passes all its frames to the VM"));
}

TEST_CASE("plan: kinds with frames that no card can stand for are refused by name") {
  NamespaceContents contents;
  contents.interfaces = {interface_of(2, "red", "vrf")};
  CHECK_THROWS_MATCHES(
      cards_needed(contents), Error,
      Message("network interface red: a vrf applies to the routes of the host's kernel only"));
  contents.interfaces = {interface_of(2, "eth0", "ipvlan")};
  CHECK(cards_needed(contents) == 1);
  contents.interfaces[0].is_routed_by_netfilter = true;
  CHECK_THROWS_MATCHES(cards_needed(contents), Error,
                       Message("network interface eth0: an ipvlan in mode l3s receives no frames; "
                               "use mode l2 or l3"));
}

TEST_CASE("plan: what plugging sets is not told to the guest") {
  NamespaceContents contents;
  contents.interfaces = {interface_of(2, "a", "macvlan"), interface_of(3, "b", "veth")};
  for (Interface& i : contents.interfaces) i.flags |= IFF_ALLMULTI;
  const guestcomm::Network network = plan_network(contents, two_cards).network;
  CHECK((network.links.at(0).flags & IFF_ALLMULTI) == 0);
  CHECK((network.links.at(1).flags & IFF_ALLMULTI) != 0);
}

TEST_CASE("plan: both ends of a veth in one namespace are carried") {
  NamespaceContents contents;
  Interface a = interface_of(2, "a", "veth"), b = interface_of(3, "b", "veth");
  a.parent = 3, b.parent = 2;
  contents.interfaces = {a, b};
  CHECK(cards_needed(contents) == 2);
}

TEST_CASE("plan: routes and sysctls of what is not carried are left out") {
  NamespaceContents contents;
  contents.interfaces = {loopback(), interface_of(2, "eth0", "veth"),
                         interface_of(3, "husk1", "tun")};
  contents.routes = {route_over({"eth0"}), route_over({"husk1"}), route_over({"eth0", "husk1"}),
                     route_over({})};
  contents.sysctls = {{"ipv4/conf/all/rp_filter", "1"},
                      {"ipv4/conf/eth0/rp_filter", "1"},
                      {"ipv4/conf/husk1/rp_filter", "1"},
                      {"core/somaxconn", "128"}};
  const guestcomm::Network network = plan_network(contents, two_cards).network;
  REQUIRE(network.routes.size() == 3);
  CHECK(network.routes[1].hops.size() == 1);
  CHECK(network.sysctls.size() == 3);
  CHECK(network.sysctls.contains("core/somaxconn"));
  CHECK_FALSE(network.sysctls.contains("ipv4/conf/husk1/rp_filter"));
}
