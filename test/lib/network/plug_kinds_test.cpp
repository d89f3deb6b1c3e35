// SPDX-License-Identifier: Apache-2.0
// The kinds of interfaces that callers make, each with a datagram from the guest and one to it.
#include <catch2/catch_test_macros.hpp>

#include "lib/network/plan.hpp"
#include "lib/network/plug.hpp"
#include "lib/network/read.hpp"
#include "test/lib/network/frames.hpp"

using namespace husk;
using namespace husk::network;
using namespace husk::test;

namespace {

/// `outside` with dev0 that has 172.17.0.1, and `n` with eth0.
struct Pair {
  TestNamespace n, outside;

  void give_addresses() const {
    outside.run("ip addr add 172.17.0.1/16 dev dev0; ip link set dev0 up");
    n.run("ip link set lo up; ip addr add 172.17.0.2/16 dev eth0; ip link set eth0 up");
  }
};

std::string mac_in(const TestNamespace& in, const std::string& link) {
  return interface_named(read_namespace(in.get()), link).mac;
}

void check_traffic(const Pair& p) {
  const TestTap tap(p.n, "husk0");
  const NamespaceContents contents = read_namespace(p.n.get());
  const NetworkPlan plan = plan_network(contents, {{"52:54:00:00:00:01", "husk0", 0}});
  REQUIRE(plan.plugs.size() == 1);
  REQUIRE(plan.plugs[0].interface == "eth0");
  const Plug plug(p.n.get(), "eth0", "husk0");
  const UdpSocket outside(p.outside, "172.17.0.1", 7000);
  tap.send(ethernet(mac_in(p.outside, "dev0"), mac_in(p.n, "eth0"), 0x0800,
                    udp_packet("172.17.0.2", 5000, "172.17.0.1", 7000, "from the guest")));
  CHECK(outside.gets("from the guest"));
  outside.send("to the guest", "172.17.0.2", 5000);
  CHECK(tap.gets([](const Frame& f) { return f.find("to the guest") != Frame::npos; }));
}

}  // namespace

TEST_CASE("plug: a macvlan") {
  const Pair p;
  p.outside.add_link("below type veth peer name other");
  p.outside.run("ip link set below up; ip link set other up");
  p.outside.add_link("eth0 link below netns " + p.n.path() + " type macvlan mode bridge");
  p.outside.add_link("dev0 link below type macvlan mode bridge");
  p.give_addresses();
  check_traffic(p);

  const TestTap tap(p.n, "husk1");
  const Plug plug(p.n.get(), "eth0", "husk1");
  const PacketSocket dev0(p.outside, "dev0");
  const auto is_for_group = [](const Frame& f) { return f.ends_with("a group of the guest's"); };
  dev0.send(ethernet("01:00:5e:01:02:03", mac_in(p.outside, "dev0"), 0x0800,
                     udp_packet("172.17.0.1", 1, "239.1.2.3", 9, "a group of the guest's")));
  CHECK(tap.gets(is_for_group));
}

TEST_CASE("plug: an ipvlan in mode l2") {
  const Pair p;
  p.outside.add_link("below type veth peer name other");
  p.outside.run("ip link set below up; ip link set other up");
  p.outside.add_link("eth0 link below netns " + p.n.path() + " type ipvlan mode l2");
  p.outside.add_link("dev0 link below type ipvlan mode l2");
  p.give_addresses();
  check_traffic(p);
}

TEST_CASE("plug: a bridge, which has what its ports get") {
  const Pair p;
  p.outside.add_link("dev0 type veth peer name port0 netns " + p.n.path());
  p.n.add_link("eth0 type bridge");
  p.n.run("ip link set port0 master eth0; ip link set port0 up");
  p.give_addresses();
  check_traffic(p);
}

TEST_CASE("plug: a tap of someone else's, as slirp4netns has") {
  const TestNamespace n;
  const TestTap theirs(n, "tap0"), tap(n, "husk0");
  n.run("ip addr add 10.0.2.100/24 dev tap0; ip link set tap0 up");
  const std::string mac = mac_in(n, "tap0");
  const Plug plug(n.get(), "tap0", "husk0");
  CHECK(find_plugs(n.get()) == std::vector<PluggedInterface>{{"tap0", "husk0"}});
  tap.send(ethernet("02:00:00:00:00:02", mac, 0x0800,
                    udp_packet("10.0.2.100", 1, "10.0.2.2", 53, "from the guest")));
  CHECK(theirs.gets([](const Frame& f) { return f.find("from the guest") != Frame::npos; }));
  theirs.send(ethernet(mac, "02:00:00:00:00:02", 0x0800,
                       udp_packet("10.0.2.2", 53, "10.0.2.100", 1, "to the guest")));
  CHECK(tap.gets([](const Frame& f) { return f.find("to the guest") != Frame::npos; }));
}

TEST_CASE("plug: a dummy, from which nothing comes") {
  const TestNamespace n;
  n.add_link("eth0 type dummy");
  const TestTap tap(n, "husk0");
  const Plug plug(n.get(), "eth0", "husk0");
  CHECK(find_plugs(n.get()).size() == 1);
}

TEST_CASE("plug: several interfaces, each with its own") {
  const TestNamespace n, outside;
  const TestTap tap0(n, "husk0"), tap1(n, "husk1");
  for (const std::string i : {"0", "1"}) {
    n.add_link("eth" + i + " type veth peer name p" + i + " netns " + outside.path());
    n.run("ip link set eth" + i + " up");
    outside.run("ip link set p" + i + " up");
  }
  const Plug first(n.get(), "eth0", "husk0"), second(n.get(), "eth1", "husk1");
  const PacketSocket p0(outside, "p0"), p1(outside, "p1");
  p0.send(ethernet("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:01", 0x88b5, "by the first"));
  p1.send(ethernet("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:01", 0x88b5, "by the second"));
  CHECK(tap0.gets([](const Frame& f) { return f.ends_with("by the first"); }));
  CHECK(tap1.gets([](const Frame& f) { return f.ends_with("by the second"); }));
}
