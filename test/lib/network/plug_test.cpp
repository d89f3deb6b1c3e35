// SPDX-License-Identifier: Apache-2.0
// With packets: outside (p0) -- eth0 in a container's namespace -- a tap, read and written by the test.
#include "lib/network/plug.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "lib/network/read.hpp"
#include "lib/network/reserved_ports.hpp"
#include "test/lib/network/frames.hpp"

using namespace husk;
using namespace husk::network;
using namespace husk::test;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::string mac = "02:42:ac:11:00:02", outside_mac = "02:42:00:00:00:01";
const std::string here4 = "172.17.0.2", outside4 = "172.17.0.1";
const std::string here6 = "fd00::2", outside6 = "fd00::1";
constexpr std::uint16_t ipv4 = 0x0800, ipv6 = 0x86dd, arp = 0x0806;

/// The namespaces, wired, and the tap in the container's.
struct Wired {
  explicit Wired(const std::string& options = "mtu 1500") {
    n.add_link("eth0 address " + mac + " " + options + " type veth peer name p0 address " +
               outside_mac + " netns " + outside.path());
    outside.run("ip link set p0 up " + options +
                "; ip addr add 172.17.0.1/16 dev p0;"
                "ip addr add fd00::1/64 dev p0 nodad");
    n.run(
        "ip link set lo up; ip link set eth0 up; ip addr add 172.17.0.2/16 dev eth0;"
        "ip addr add fd00::2/64 dev eth0 nodad");
  }
  TestNamespace n, outside;
  TestTap tap{n, "husk0"};
};

auto holds(const std::string& text) {
  return [text](const Frame& frame) { return frame.find(text) != Frame::npos; };
}

Frame from_guest(const std::string& text, std::uint16_t to_port,
                 const std::string& from_mac = mac) {
  return ethernet(outside_mac, from_mac, ipv4, udp_packet(here4, 5000, outside4, to_port, text));
}

bool is_arp_reply(const Frame& frame) {
  return frame.size() >= 42 && frame.substr(12, 2) == "\x08\x06" && frame[21] == 2;
}

}  // namespace

TEST_CASE("plug: datagrams pass in both directions, of IPv4 and IPv6") {
  const Wired w;
  const Plug plug(w.n.get(), "eth0", "husk0");
  const UdpSocket four(w.outside, outside4, 7000), six(w.outside, outside6, 7000);
  w.tap.send(from_guest("from the guest", 7000));
  CHECK(four.gets("from the guest"));
  four.send("to the guest", here4, 5000);
  CHECK(w.tap.gets(holds("to the guest")));
  w.tap.send(ethernet(outside_mac, mac, ipv6, udp_packet(here6, 5000, outside6, 7000, "six from")));
  CHECK(six.gets("six from"));
  six.send("six to", here6, 5000);
  CHECK(w.tap.gets(holds("six to")));
}

TEST_CASE("plug: the guest asks by ARP, and is asked") {
  const Wired w;
  const Plug plug(w.n.get(), "eth0", "husk0");
  w.tap.send(ethernet("ff:ff:ff:ff:ff:ff", mac, arp, arp_request(mac, here4, outside4)));
  CHECK(w.tap.gets(is_arp_reply));
  const PacketSocket p0(w.outside, "p0");
  p0.send(
      ethernet("ff:ff:ff:ff:ff:ff", outside_mac, arp, arp_request(outside_mac, outside4, here4)));
  CHECK(w.tap.gets(holds(arp_request(outside_mac, outside4, here4))));
}

TEST_CASE("reserved ports: a namespace gets its own range of ports back") {
  const Wired w;
  const PortRange before = read_ports(w.n.get());
  CHECK(before != reserved_ports);
  use_ports(w.n.get(), reserved_ports);
  CHECK(read_ports(w.n.get()) == reserved_ports);
  use_ports(w.n.get(), parse_port_range(to_string(before)));
  CHECK(read_ports(w.n.get()) == before);
  for (const char* text : {"", "1", "1 2 3", "2 1", "1 x", "1 65536", "-1 5", "-5 -1", "+1 5"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_port_range(text), husk::Error);
  }
}

TEST_CASE("plug: answers to the namespace's own sockets reach them, others do not") {
  const Wired w;
  use_ports(w.n.get(), reserved_ports);
  const Plug plug(w.n.get(), "eth0", "husk0");
  for (const auto& [here, there] : {std::pair{here4, outside4}, std::pair{here6, outside6}}) {
    const UdpSocket own(w.n, here, 0), other(w.n, here, 5353), outside(w.outside, there, 7000);
    INFO(here);
    CHECK(own.port() >= guestcomm::first_host_port);
    CHECK(own.port() <= guestcomm::last_host_port);
    own.send("question", there, 7000);  // finds its neighbour, too
    CHECK(outside.gets("question"));
    outside.send("answer", here, own.port());
    CHECK(own.gets("answer"));
    outside.send("not for the host", here, 5353);
    CHECK(w.tap.gets(holds("not for the host")));
    CHECK_FALSE(other.gets("not for the host"));
  }
}

TEST_CASE("plug: a router's advertisement goes to the guest, and to the namespace's own stack") {
  const Wired w;
  const Plug plug(w.n.get(), "eth0", "husk0");
  const PacketSocket p0(w.outside, "p0");
  const std::string advertisement("\x86\0\0\0\x40\0\x07\x08\0\0\0\0\0\0\0\0", 16);
  p0.send(ethernet("33:33:00:00:00:01", outside_mac, ipv6,
                   icmpv6_packet("fe80::1", "ff02::1", advertisement)));
  CHECK(w.tap.gets([](const Frame& f) { return f.size() == 14 + 40 + 16 && f[54] == '\x86'; }));
  CHECK_THAT(w.n.run("ip -6 route show default"), ContainsSubstring("via fe80::1 dev eth0"));
  CHECK_THAT(w.n.run("ip -6 route show default"), ContainsSubstring("expires"));
  for (const auto& route : read_namespace(w.n.get()).routes) CHECK(route.destination != "::/0");
}

TEST_CASE("plug: frames of another MAC get nowhere") {
  const Wired w;
  const Plug plug(w.n.get(), "eth0", "husk0");
  const PacketSocket p0(w.outside, "p0");
  const UdpSocket inside(w.n, here4, 6000);
  w.tap.send(from_guest("forged", 7000, "02:42:ac:11:00:03"));
  w.tap.send(from_guest("forged", 7000, "06:42:ac:11:00:02"));
  // Nor into the namespace's own stack, by whatever MAC.
  w.tap.send(
      ethernet(mac, "02:42:ac:11:00:03", ipv4, udp_packet(outside4, 1, here4, 6000, "forged")));
  w.tap.send(ethernet(mac, mac, ipv4, udp_packet(outside4, 1, here4, 6000, "forged")));
  CHECK_FALSE(inside.gets("forged"));
  w.tap.send(from_guest("honest", 7000));
  bool has_forged = false;
  CHECK(p0.gets([&](const Frame& f) {
    has_forged = has_forged || (holds("forged")(f) && f.substr(6, 6) != bytes_of_mac(mac));
    return holds("honest")(f);
  }));
  CHECK_FALSE(has_forged);
}

TEST_CASE("plug: multicast and VLANs pass") {
  const Wired w;
  const Plug plug(w.n.get(), "eth0", "husk0");
  const PacketSocket p0(w.outside, "p0");
  const std::string tagged = std::string("\0\5", 2) + std::string("\x08\0", 2) +
                             udp_packet(outside4, 1, here4, 61500, "in a vlan");
  p0.send(ethernet(mac, outside_mac, 0x8100, tagged));
  CHECK(w.tap.gets([&](const Frame& f) {
    return f.substr(12, 4) == std::string("\x81\0\0\5", 4) && holds("in a vlan")(f);
  }));
  p0.send(ethernet("01:00:5e:01:02:03", outside_mac, ipv4,
                   udp_packet(outside4, 1, "239.1.2.3", 9, "to many")));
  CHECK(w.tap.gets(holds("to many")));
  w.tap.send(ethernet(outside_mac, mac, 0x8100, std::string("\0\5\x08\0", 4) + "vlan from guest"));
  CHECK(p0.gets(holds("vlan from guest")));
}

TEST_CASE("plug: the tap gets the interface's MTU, whole datagrams pass, and its stack is silent") {
  for (const std::string mtu : {"1400", "9000"}) {
    const Wired w("mtu " + mtu);
    const Plug plug(w.n.get(), "eth0", "husk0");
    CHECK_THAT(w.n.run("ip link show husk0"), ContainsSubstring("mtu " + mtu));
    CHECK(w.n.run("ip addr show husk0 | grep -c inet || true") == "0\n");
    const UdpSocket outside(w.outside, outside4, 7000);
    const std::string text(std::stoul(mtu) - 28, 'x');
    outside.send(text, here4, 5000);
    CHECK(w.tap.gets(holds(text)));
    w.tap.send(from_guest(text, 7000));
    CHECK(outside.gets(text));
  }
}

TEST_CASE("plug: is undone when it goes, unless it is kept") {
  const Wired w;
  const auto qdiscs = [&] { return w.n.run("tc qdisc show | grep ingress || true"); };
  const std::string before = qdiscs();
  { const Plug plug(w.n.get(), "eth0", "husk0"); }
  CHECK(qdiscs() == before);
  {
    Plug plug(w.n.get(), "eth0", "husk0");
    plug.keep();
  }
  CHECK(qdiscs() != before);
  CHECK(find_plugs(w.n.get()) == std::vector<PluggedInterface>{{"eth0", "husk0"}});
  unplug(w.n.get(), "eth0");
  CHECK(qdiscs() == before);
  CHECK(find_plugs(w.n.get()).empty());
  unplug(w.n.get(), "eth0");
  unplug(w.n.get(), "eth7");
}

TEST_CASE("plug: a failing step undoes the others, and is named") {
  const Wired w;
  const std::string before = w.n.run("tc qdisc show; ip link show eth0");
  CHECK_THROWS_WITH(Plug(w.n.get(), "eth7", "husk0"),
                    "network interface eth7: there is no such interface");
  CHECK_THROWS_WITH(Plug(w.n.get(), "eth0", "husk7"),
                    "network interface eth0: tap husk7: there is no such interface");
  // More than a tap can have.
  w.n.run("ip link set eth0 mtu 65535");
  CHECK_THROWS_WITH(
      Plug(w.n.get(), "eth0", "husk0"),
      ContainsSubstring("network interface eth0: tap husk0: cannot set an MTU of 65535: "));
  w.n.run("ip link set eth0 mtu 1500");
  CHECK(w.n.run("tc qdisc show; ip link show eth0") == before);
}

TEST_CASE("plug: someone else's qdisc is not touched") {
  const Wired w;
  for (const std::string kind : {"clsact", "ingress"}) {
    w.n.run("tc qdisc add dev eth0 " + kind +
            "; tc filter add dev eth0 ingress prio 5 protocol all "
            "u32 match u32 0 0 flowid 1:1");
    const std::string before = w.n.run("tc qdisc show dev eth0; tc filter show dev eth0 ingress");
    CHECK_THROWS_WITH(Plug(w.n.get(), "eth0", "husk0"), "network interface eth0: has a qdisc \"" +
                                                            kind + "\" that husk did not create");
    unplug(w.n.get(), "eth0");
    CHECK(w.n.run("tc qdisc show dev eth0; tc filter show dev eth0 ingress") == before);
    CHECK(find_plugs(w.n.get()).empty());
    w.n.run("tc qdisc del dev eth0 " + kind);
  }
}

TEST_CASE("plug: leavings of a VM that is gone make room, a running one's do not") {
  Wired w;
  {
    const TestTap gone(w.n, "husk1");
    Plug(w.n.get(), "eth0", "husk1").keep();
    CHECK_THROWS_WITH(Plug(w.n.get(), "eth0", "husk0"),
                      "network interface eth0: is already connected to husk1");
    CHECK(find_plugs(w.n.get()).size() == 1);
  }
  CHECK(find_plugs(w.n.get()).empty());
  const Plug plug(w.n.get(), "eth0", "husk0");
  const UdpSocket outside(w.outside, outside4, 7000);
  w.tap.send(from_guest("again", 7000));
  CHECK(outside.gets("again"));
}

TEST_CASE("move_tap: a tap goes to another namespace under a new name, and still moves frames") {
  const Wired w;
  const TestNamespace host;
  const TestTap tap(host, "vnet5");
  {
    const InNetworkNamespace inside(host.get());
    move_tap("vnet5", w.n.get(), "husk1");
    CHECK_THROWS_WITH(move_tap("vnet5", w.n.get(), "husk2"),
                      "tap vnet5: there is no such interface");
  }
  const Plug plug(w.n.get(), "eth0", "husk1");
  const UdpSocket outside(w.outside, outside4, 7000);
  tap.send(from_guest("moved", 7000));
  CHECK(outside.gets("moved"));
}

TEST_CASE("plug: the host's own namespace is refused, for a plug and for a tap") {
  const NetworkNamespace own = NetworkNamespace::of_path("/proc/self/ns/net");
  const std::string refusal =
      "network namespace /proc/self/ns/net: is the host's, which a VM cannot join";
  CHECK_THROWS_WITH(Plug(own, "lo", "husk0"), refusal);
  CHECK_THROWS_WITH(move_tap("no-such-tap", own, "husk0"), refusal);
}
