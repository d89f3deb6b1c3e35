// SPDX-License-Identifier: Apache-2.0
// Capability names, the seccomp filter, sysctls: what decides without the kernel's help.
#include <linux/filter.h>
#include <seccomp.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cerrno>

#include "agent/setup/capabilities.hpp"
#include "agent/setup/namespaces.hpp"
#include "agent/setup/seccomp.hpp"
#include "agent/setup/sysctl.hpp"
#include "lib/base/error.hpp"

using namespace husk::agent;
using Catch::Matchers::ContainsSubstring;

namespace {
husk::oci::Spec spec_with(std::vector<std::string> types) {
  husk::oci::Spec spec;
  for (std::string& type : types) spec.linux_.namespaces.push_back({std::move(type), {}});
  return spec;
}
}  // namespace

TEST_CASE("capabilities: names have the kernel's numbers, unknown ones none") {
  CHECK(find_capability("CAP_CHOWN") == 0);
  CHECK(find_capability("CAP_SYS_ADMIN") == 21);
  CHECK(find_capability("CAP_CHECKPOINT_RESTORE") == 40);
  CHECK_FALSE(find_capability("CHOWN"));
  CHECK_FALSE(find_capability("CAP_"));
  CHECK(capability_mask({"CAP_CHOWN", "CAP_NO_SUCH", "CAP_BPF"}) ==
        (std::uint64_t{1} | std::uint64_t{1} << 39));
}

TEST_CASE("seccomp: actions carry their value, unknown ones and notify are refused") {
  CHECK(seccomp_action("SCMP_ACT_ERRNO", {}) == SCMP_ACT_ERRNO(EPERM));
  CHECK(seccomp_action("SCMP_ACT_ERRNO", 38) == SCMP_ACT_ERRNO(38));
  CHECK(seccomp_action("SCMP_ACT_KILL_PROCESS", {}) == SCMP_ACT_KILL_PROCESS);
  CHECK_THROWS_WITH(seccomp_action("SCMP_ACT_NOTIFY", {}), ContainsSubstring("not supported"));
  CHECK_THROWS_WITH(seccomp_action("ALLOW", {}), ContainsSubstring("unknown action ALLOW"));
}

TEST_CASE("seccomp: the filter does to a process what the specification says") {
  husk::oci::Seccomp seccomp;
  seccomp.default_action = "SCMP_ACT_ALLOW";
  seccomp.architectures = {"SCMP_ARCH_X86_64"};
  seccomp.syscalls = {
      {{"getppid", "not_a_call"}, "SCMP_ACT_ERRNO", 77, {}},
      {{"getpgid"}, "SCMP_ACT_ERRNO", 78, {{0, 5, 0, "SCMP_CMP_EQ"}, {0, 6, 0, "SCMP_CMP_EQ"}}},
      {{"getsid"}, "SCMP_ACT_ALLOW", {}, {}}};
  const SeccompProgram program(seccomp);
  const pid_t child = ::fork();
  if (child == 0) {
    program.load();
    const bool refused = ::syscall(SYS_getppid) == -1 && errno == 77;
    const bool either = ::getpgid(5) == -1 && errno == 78 && ::getpgid(6) == -1 && errno == 78;
    const bool others = ::getpgid(0) > 0;
    ::_exit((refused ? 0 : 1) + (either ? 0 : 2) + (others ? 0 : 4));
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
}

TEST_CASE("seccomp: a filter for all of Docker's architectures is made") {
  husk::oci::Seccomp seccomp;
  seccomp.default_action = "SCMP_ACT_ERRNO";
  seccomp.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  seccomp.syscalls = {{{"read", "write"}, "SCMP_ACT_ALLOW", {}, {}}};
  CHECK(SeccompProgram(seccomp).instructions().size() > 4);
  seccomp.architectures = {"SCMP_ARCH_TOASTER"};
  CHECK_THROWS_WITH(SeccompProgram(seccomp), ContainsSubstring("SCMP_ARCH_TOASTER"));
}

TEST_CASE("sysctl: only what the container has to itself") {
  const husk::oci::Spec spec = spec_with({"ipc"});
  CHECK_NOTHROW(check_sysctl("net.ipv4.ip_forward", spec));
  CHECK_NOTHROW(check_sysctl("kernel.shmmax", spec));
  CHECK(check_sysctl("net.ipv4.conf.eth0/100.forwarding", spec) ==
        "net/ipv4/conf/eth0.100/forwarding");
  CHECK(check_sysctl("kernel/shmmax", spec) == "kernel/shmmax");
  CHECK_THROWS_AS(check_sysctl("net/../kernel/core_pattern", spec), husk::Error);
  CHECK_THROWS_WITH(check_sysctl("kernel.shmmax", spec_with({})),
                    ContainsSubstring("not in a separate kernel namespace"));
  CHECK_THROWS_AS(check_sysctl("vm.swappiness", spec), husk::Error);
  CHECK_THROWS_AS(check_sysctl("kernel.hostname", spec_with({"uts"})), husk::Error);
}

TEST_CASE("namespaces: ids are mapped and joining by path is refused, but for the network") {
  CHECK(map_id({{0, 1000, 10}, {10, 5000, 10}}, 12) == 5002);
  CHECK(map_id({}, 7) == 7);
  husk::oci::Spec spec = spec_with({"pid", "network"});
  spec.linux_.namespaces[1].path = "/proc/1/ns/net";
  CHECK_NOTHROW(clone_flags(spec));
  spec.linux_.namespaces[0].path = "/proc/1/ns/pid";
  CHECK_THROWS_WITH(clone_flags(spec), ContainsSubstring("/proc/1/ns/pid"));
}
