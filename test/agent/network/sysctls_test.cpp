// SPDX-License-Identifier: Apache-2.0
#include "agent/network/sysctls.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "test/agent/network/own_network.hpp"

using namespace husk;
using namespace husk::agent;
using namespace husk::test;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string sysctl_error(const Sysctls& want) {
  try {
    apply_network_sysctls(want);
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("network sysctls: the link of a name", "[agent][network]") {
  for (const auto& [name, link] : std::vector<std::pair<std::string, std::string>>{
           {"ipv4/conf/eth0/forwarding", "eth0"},
           {"ipv6/conf/eth0.100/accept_ra", "eth0.100"},
           {"ipv4/neigh/eth1/gc_stale_time", "eth1"},
           {"ipv6/neigh/lo/mcast_solicit", "lo"},
           {"ipv4/conf/all/forwarding", ""},
           {"ipv6/conf/default/accept_ra", ""},
           {"ipv6/neigh/default/gc_thresh1", ""},
           {"ipv4/conf/allow/forwarding", "allow"},
           {"ipv4/ip_forward", ""},
           {"ipv4/conf/forwarding", ""},
           {"ipv4/conf//forwarding", ""},
           {"ipv4/conf/", ""},
           {"core/somaxconn", ""},
           {"", ""}}) {
    CAPTURE(name);
    CHECK(link_of_sysctl(name) == link);
  }
}

TEST_CASE("network sysctls: the host's ports join those that are reserved", "[agent][network]") {
  for (const auto& [ports, joined] : std::vector<std::pair<std::string, std::string>>{
           {"", "61440-61951"},
           {"\n", "61440-61951"},
           {"80", "80,61440-61951"},
           {"65535,0", "0,61440-61951,65535"},
           {"61952", "61440-61952"},        // right behind
           {"61000-61439", "61000-61951"},  // right before
           {"61953", "61440-61951,61953"},  // with one between
           {"61500-61600", "61440-61951"},  // inside
           {"1-65535", "1-65535"},          // around
           {"90-100,80-95,7", "7,80-100,61440-61951"},
           {"5-5,5", "5,61440-61951"}}) {
    CAPTURE(ports);
    CHECK(with_host_ports(ports) == joined);
    CHECK(with_host_ports(joined) == joined);
  }
  for (const char* ports : {"http", "80-", "-80", "90-80", "65536", "80,,90", "1-2-3", "80 90",
                            "+80", "0x50", "99999999999999999999"}) {
    CAPTURE(ports);
    CHECK_FALSE(with_host_ports(ports));
  }
}

TEST_CASE("network sysctls: what is reserved stays, unless something else is wanted",
          "[agent][network]") {
  const OwnNetwork own;
  constexpr const char* ports = "ipv4/ip_local_reserved_ports";
  write_existing(std::string("/proc/sys/net/") + ports, "80,61000-61500");
  reserve_host_ports({});
  CHECK(sysctl(ports) == "80,61000-61951\n");
  reserve_host_ports("443");
  CHECK(sysctl(ports) == "443,61440-61951\n");
  CHECK_THROWS_WITH(reserve_host_ports("90-80"),
                    "sysctl net/ipv4/ip_local_reserved_ports: write: invalid argument");
  CHECK(sysctl(ports) == "443,61440-61951\n");
}

TEST_CASE("network sysctls: a link's own setting holds against those of all links",
          "[agent][network]") {
  const OwnNetwork own;
  ip("link add name a type veth peer name peer-a");
  // In the order of their names "a" would come before "all" and before "ip_forward", which both change it.
  CHECK(sysctl_error({{"ipv4/conf/a/forwarding", "0"},
                      {"ipv4/conf/default/forwarding", "0"},
                      {"ipv4/ip_forward", "1"},
                      {"ipv6/conf/a/forwarding", "0"},
                      {"ipv6/conf/all/forwarding", "1"}}) == "none");
  CHECK(sysctl("ipv4/conf/a/forwarding") == "0\n");
  CHECK(sysctl("ipv4/conf/peer-a/forwarding") == "1\n");
  CHECK(sysctl("ipv4/conf/default/forwarding") == "0\n");
  CHECK(sysctl("ipv6/conf/a/forwarding") == "0\n");
  CHECK(sysctl("ipv6/conf/peer-a/forwarding") == "1\n");
}

TEST_CASE("network sysctls: an equal value is not written", "[agent][network]") {
  const OwnNetwork own;
  ip("link add name a type veth peer name peer-a");
  apply_network_sysctls({{"ipv4/ip_forward", "1"}});
  write_existing("/proc/sys/net/ipv4/conf/a/forwarding", "0");
  apply_network_sysctls({{"ipv4/ip_forward", "1"}, {"ipv4/tcp_rmem", "4096 131072 6291456"}});
  CHECK(sysctl("ipv4/conf/a/forwarding") == "0\n");  // writing the first would set it again
  apply_network_sysctls({{"ipv4/tcp_rmem", "4096  99999\t888888\n"}});
  CHECK(sysctl("ipv4/tcp_rmem") == "4096\t99999\t888888\n");
}

TEST_CASE("network sysctls: names that lead elsewhere, and what the kernel says of the others",
          "[agent][network]") {
  const OwnNetwork own;
  for (const char* name : {"", "/", "/ipv4/ip_forward", "..", "ipv4/../../kernel/hostname",
                           "ipv4//ip_forward", "./ipv4/ip_forward", "ipv4/conf/../ip_forward"}) {
    CAPTURE(name);
    CHECK(sysctl_error({{name, "1"}}) == std::string("sysctl net/") + name + ": not a valid name");
  }
  CHECK(sysctl_error({{"ipv4/no_such_thing", "1"}, {"ipv4/ip_forward", "1"}}) == "none");
  CHECK(sysctl("ipv4/ip_forward") == "1\n");
  CHECK_THAT(sysctl_error({{"ipv4/ip_default_ttl", "0"}}),
             ContainsSubstring("sysctl net/ipv4/ip_default_ttl: ") &&
                 ContainsSubstring("invalid argument"));
  CHECK(sysctl_error({{"ipv6/neigh/eth9/gc_stale_time", "5"}}) ==
        "sysctl net/ipv6/neigh/eth9/gc_stale_time: open ipv6/neigh/eth9/gc_stale_time: no such "
        "file or directory");
  CHECK_THAT(sysctl_error({{"ipv4/conf", "1"}}), ContainsSubstring("sysctl net/ipv4/conf: "));
}
