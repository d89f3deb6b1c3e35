// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/namespaces.hpp"

#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "agent/setup/sysctl.hpp"
#include "test/agent/setup/in_child.hpp"

using namespace husk;
using namespace husk::agent;
using namespace husk::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

oci::Spec spec_of(std::vector<oci::Namespace> namespaces) {
  oci::Spec spec;
  spec.linux_.namespaces = std::move(namespaces);
  return spec;
}

}  // namespace

TEST_CASE(
    "namespaces: the flags of clone3(2) are those of the listed ones, and of a mount namespace") {
  CHECK(clone_flags({}) == CLONE_NEWNS);
  CHECK(clone_flags(spec_of({{"pid", {}}, {"ipc", ""}, {"uts", {}}, {"mount", {}}})) ==
        (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS));
  CHECK(clone_flags(spec_of({{"user", {}}})) == (CLONE_NEWNS | CLONE_NEWUSER));
  // The network is the guest's; the other two are made later.
  CHECK(clone_flags(spec_of({{"network", "/proc/9/ns/net"}, {"cgroup", {}}, {"time", {}}})) ==
        CLONE_NEWNS);
  CHECK_THROWS_WITH(clone_flags(spec_of({{"net", {}}})), "linux.namespaces: unknown type net");
  CHECK_THROWS_WITH(
      clone_flags(spec_of({{"ipc", "/proc/9/ns/ipc"}})),
      "linux.namespaces: joining the ipc namespace at /proc/9/ns/ipc is not supported");
}

TEST_CASE("namespaces: ids at the edges of their mappings") {
  const std::vector<oci::IdMapping> mappings{{0, 100000, 10}, {20, 4294967290, 5}, {30, 7, 0}};
  for (const auto& [inside, outside] :
       std::vector<std::pair<std::uint32_t, std::uint32_t>>{{0, 100000},
                                                            {9, 100009},
                                                            {10, 10},
                                                            {19, 19},
                                                            {20, 4294967290},
                                                            {24, 4294967294},
                                                            {25, 25},
                                                            {30, 30},
                                                            {4294967295, 4294967295}}) {
    CAPTURE(inside);
    CHECK(map_id(mappings, inside) == outside);
  }
}

TEST_CASE("namespaces: every mapping is written, for the process that is named", "[root]") {
  SKIP_UNLESS_ROOT();
  oci::Spec spec = spec_of({{"user", {}}});
  spec.linux_.uid_mappings = {{0, 1000, 3}, {5, 2000, 1}};
  spec.linux_.gid_mappings = {{0, 70, 1}};
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  UniqueFd mine{ends[0]};
  UniqueFd its{ends[1]};
  const pid_t child = ::fork();
  if (child == 0) {
    mine.reset();
    char byte = ::unshare(CLONE_NEWUSER) == 0 ? 'u' : 'e';
    if (::write(its.get(), &byte, 1) == 1) ::read(its.get(), &byte, 1);
    ::_exit(0);
  }
  its.reset();
  char byte = 0;
  REQUIRE(::read(mine.get(), &byte, 1) == 1);
  REQUIRE(byte == 'u');
  const std::string process = "/proc/" + std::to_string(child);
  apply_id_mappings(child, spec_of({}));  // without a user namespace: nothing
  CHECK(read_file(process + "/uid_map", 4096).empty());
  apply_id_mappings(child, spec);
  CHECK(read_file(process + "/uid_map", 4096) ==
        "         0       1000          3\n         5       2000          1\n");
  CHECK(read_file(process + "/gid_map", 4096) == "         0         70          1\n");
  CHECK_THROWS_WITH(apply_id_mappings(child, spec),  // once only
                    ContainsSubstring("/uid_map: operation not permitted"));
  mine.reset();
  CHECK(::waitpid(child, nullptr, 0) == child);
}

TEST_CASE("namespaces: host and domain names are set where they are given", "[root]") {
  SKIP_UNLESS_ROOT();
  const auto names_after = [](const oci::Spec& spec) {
    return in_own_namespaces(CLONE_NEWUTS, [&] {
      check_sys(::sethostname("before", 6), "sethostname");
      check_sys(::setdomainname("(none)", 6), "setdomainname");
      apply_host_name(spec);
      utsname names{};
      ::uname(&names);
      return std::string(names.nodename) + " " + names.domainname;
    });
  };
  oci::Spec spec;
  CHECK(names_after(spec) == "before (none)");
  spec.hostname = spec.domainname = "";
  CHECK(names_after(spec) == "before (none)");
  spec.hostname = "box";
  CHECK(names_after(spec) == "box (none)");
  spec.domainname = "example.org";
  CHECK(names_after(spec) == "box example.org");
  spec.hostname = std::string(65, 'h');  // HOST_NAME_MAX is 64
  CHECK(names_after(spec) == "error: set hostname: invalid argument");
}

TEST_CASE("namespaces: clocks are moved by their offsets", "[root]") {
  SKIP_UNLESS_ROOT();
  if (::access("/proc/self/timens_offsets", F_OK) != 0) SKIP("needs time namespaces");
  const auto now = [](clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return time.tv_sec;
  };
  const auto moved = [&](const std::map<std::string, oci::TimeOffset>& offsets, bool is_asked) {
    oci::Spec spec = is_asked ? spec_of({{"time", {}}}) : spec_of({});
    for (const auto& [clock, offset] : offsets) spec.linux_.time_offsets[clock] = offset;
    const time_t boot = now(CLOCK_BOOTTIME), monotonic = now(CLOCK_MONOTONIC);
    return in_child([&] {
      apply_time_namespace(spec);
      const auto hours = [](time_t seconds) { return std::to_string((seconds + 60) / 3600); };
      return hours(now(CLOCK_BOOTTIME) - boot) + " " + hours(now(CLOCK_MONOTONIC) - monotonic);
    });
  };
  CHECK(moved({{"boottime", {7200, 0}}, {"monotonic", {3600, 5}}}, true) == "2 1");
  CHECK(moved({{"boottime", {7200, 0}}}, true) == "2 0");
  CHECK(moved({{"boottime", {7200, 0}}}, false) == "0 0");
  CHECK_THAT(moved({{"boottime", {1, 1'000'000'000}}}, true),
             StartsWith("error: ") && ContainsSubstring("/proc/self/timens_offsets"));
}

TEST_CASE("sysctl: those of links wait for the network, the others are written at once", "[root]") {
  SKIP_UNLESS_ROOT();
  oci::Spec spec = spec_of({{"ipc", {}}, {"uts", {}}});
  spec.linux_.sysctl = {{"net.ipv4.conf.eth0.forwarding", "1"},
                        {"net/ipv6/conf/eth0.5/accept_ra", "2"},
                        {"net.ipv4.conf.lo.forwarding", "1"},
                        {"net.ipv4.ip_default_ttl", "63"},
                        {"kernel.msgmax", "4321"},
                        {"kernel.domainname", "x.org"}};
  using Names = std::map<std::string, std::string>;
  CHECK(late_sysctls(spec) ==
        Names{{"net/ipv4/conf/eth0/forwarding", "1"}, {"net/ipv6/conf/eth0.5/accept_ra", "2"}});
  CHECK(network_sysctls(spec) ==
        std::set<std::string>{"ipv4/conf/eth0/forwarding", "ipv6/conf/eth0.5/accept_ra",
                              "ipv4/conf/lo/forwarding", "ipv4/ip_default_ttl"});
  const std::string written = in_own_namespaces(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, [&] {
    apply_sysctls(spec);
    std::string values;
    for (const char* name : {"net/ipv4/conf/lo/forwarding", "net/ipv4/ip_default_ttl",
                             "kernel/msgmax", "kernel/domainname"})
      values += read_file(std::string("/proc/sys/") + name, 64);
    return values;
  });
  CHECK(written == "1\n63\n4321\nx.org\n");
  CHECK_THROWS_WITH(apply_late_sysctls({{"net/ipv4/conf/eth-none/forwarding", "1"}}),
                    "sysctl net/ipv4/conf/eth-none/forwarding: open "
                    "net/ipv4/conf/eth-none/forwarding: no such file or directory");
  CHECK_NOTHROW(apply_late_sysctls({}));
}

TEST_CASE("sysctl: a refused name is named in runc's words, before anything of it is written") {
  for (const char* key :
       {"kernel.domainname", "kernel.msgmax", "fs.mqueue.msg_max", "vm.overcommit_memory",
        "kernel.core_pattern", "fs/mqueue/../../kernel/core_pattern"}) {
    CAPTURE(key);
    CHECK_THROWS_WITH(check_sysctl(key, {}),
                      std::string("sysctl \"") + key + "\" is not in a separate kernel namespace");
  }
  CHECK_THROWS_WITH(check_sysctl("kernel.hostname", spec_of({{"uts", {}}})),
                    "sysctl \"kernel.hostname\" is not allowed as it conflicts with the OCI "
                    "\"hostname\" field");
  CHECK_THROWS_WITH(
      check_sysctl(std::string(999, 'k'), {}),
      "sysctl \"" + std::string(128, 'k') + "\" is not in a separate kernel namespace");
}
