// SPDX-License-Identifier: Apache-2.0
#include "lib/network/netlink.hpp"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "lib/network/filters.hpp"
#include "test/lib/network/test_namespace.hpp"

using namespace husk;
using namespace husk::network;
using Catch::Matchers::Matches;
using husk::test::TestNamespace;

namespace {

RouteSocket socket_in(const TestNamespace& n) {
  const InNetworkNamespace inside(n.get());
  return {};
}

int index_in(const TestNamespace& n, const char* link) {
  const InNetworkNamespace inside(n.get());
  return static_cast<int>(::if_nametoindex(link));
}

/// A change of a link by its number.
NetlinkMessage link_change(int index) {
  NetlinkMessage message = make_message(RTM_SETLINK, NLM_F_ACK);
  ifinfomsg header{};
  header.ifi_index = index;
  check_nl(nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO), "a link");
  return message;
}

}  // namespace

TEST_CASE("netlink: a change that the kernel refuses has its errno and the kernel's own words") {
  const TestNamespace n;
  const RouteSocket socket = socket_in(n);
  const auto refused = [&](int index, int attribute, std::uint32_t value) {
    const NetlinkMessage message = link_change(index);
    put_number(*message, attribute, value);
    try {
      socket.change(*message, "change it");
    } catch (const Error& e) {
      return std::pair(std::string(e.what()), e.sys_errno());
    }
    return std::pair(std::string(), 0);
  };
  CHECK(refused(7777, IFLA_MTU, 1500).second == ENODEV);
  CHECK(refused(7777, IFLA_MTU, 1500).first.starts_with("change it: no such device"));
  const auto [text, error] = refused(index_in(n, "lo"), IFLA_NET_NS_FD, UINT32_MAX);
  CHECK(error == EBADF);
  CHECK(text.starts_with("change it: bad file descriptor"));
  // An attribute of a wrong size is one of which the kernel says why.
  const NetlinkMessage message = link_change(index_in(n, "lo"));
  put_bytes(*message, IFLA_MTU, "x", 1);
  CHECK_THROWS_WITH(socket.change(*message, "change it"), Matches("change it: .+ \\(.+\\)"));
}

TEST_CASE("netlink: a socket serves again after a refusal, and stays in its namespace") {
  const TestNamespace n;
  const RouteSocket socket = socket_in(n);
  n.add_link("a0 type veth peer name b0");
  CHECK_THROWS(socket.change(*link_change(7777), "change it"));
  NetlinkMessage up = link_change(index_in(n, "a0"));
  auto* header = static_cast<ifinfomsg*>(nlmsg_data(nlmsg_hdr(up.get())));
  header->ifi_flags = header->ifi_change = IFF_UP;
  socket.change(*up, "set it up");  // from the host's namespace, where a0 is not
  CHECK(n.can("ip link show a0 | grep -q ,UP"));
}

TEST_CASE("netlink: a message that is full says so") {
  const NetlinkMessage message = make_message(RTM_NEWLINK, 0);
  const std::string long_text(std::size_t{1} << 20, 'x');
  CHECK_THROWS_WITH(put_text(*message, 1, long_text), "a netlink message is too small");
  const auto fill = [&] {
    for (int i = 0; i < 100'000; ++i) put_number(*message, 1, 7);
  };
  CHECK_THROWS_WITH(fill(), "a netlink message is too small");
  CHECK_THROWS_WITH(NestedAttribute(*message, 1), "a netlink message is too small");
}

TEST_CASE("ingress: what there is, and where its filters send frames") {
  const TestNamespace n;
  n.add_link("a0 type veth peer name b0");
  n.add_link("c0 type veth peer name d0");
  const RouteSocket socket = socket_in(n);
  const int a0 = index_in(n, "a0"), c0 = index_in(n, "c0");
  CHECK_FALSE(find_ingress(socket, a0));
  remove_ingress_qdisc(socket, a0);  // none: fine
  remove_ingress_qdisc(socket, 7777);
  CHECK_THROWS_WITH(add_verdict_filter(socket, a0, 1, match_all()),
                    Catch::Matchers::StartsWith("cannot add a bpf filter: "));

  add_ingress_qdisc(socket, a0);
  CHECK(find_ingress(socket, a0)->kind == "ingress");
  CHECK(find_ingress(socket, a0)->is_husks);
  CHECK(find_ingress(socket, a0)->target == 0);
  CHECK_FALSE(find_ingress(socket, c0));
  CHECK_THROWS_WITH(add_ingress_qdisc(socket, a0),
                    Catch::Matchers::StartsWith("cannot add an ingress qdisc: file exists"));

  add_verdict_filter(socket, a0, 1, leave_reserved_ports());
  CHECK(find_ingress(socket, a0)->target == 0);
  add_forwarding_filter(socket, a0, 2, match_all(), Forwarding::redirect, c0);
  CHECK(find_ingress(socket, a0)->target == c0);
  CHECK(find_ingress(socket, a0)->is_husks);

  SECTION("a link that is gone is no target") {
    n.run("ip link del c0");
    CHECK(find_ingress(socket, a0)->target == 0);
    CHECK(find_ingress(socket, a0)->is_husks);
  }
  SECTION("one filter of somebody else's makes the qdisc theirs") {
    n.run("tc filter add dev a0 ingress prio 5 protocol all u32 match u32 0 0 flowid 1:1");
    CHECK_FALSE(find_ingress(socket, a0)->is_husks);
    CHECK(find_ingress(socket, a0)->target == c0);
  }
  SECTION("removed, all its filters are gone") {
    remove_ingress_qdisc(socket, a0);
    CHECK_FALSE(find_ingress(socket, a0));
    add_ingress_qdisc(socket, a0);
    CHECK(find_ingress(socket, a0)->target == 0);
  }
}

TEST_CASE("ingress: a clsact qdisc is never husk's, without a filter either") {
  const TestNamespace n;
  n.add_link("a0 type veth peer name b0");
  n.run("tc qdisc add dev a0 clsact");
  const auto found = find_ingress(socket_in(n), index_in(n, "a0"));
  REQUIRE(found);
  CHECK(found->kind == "clsact");
  CHECK_FALSE(found->is_husks);
}
