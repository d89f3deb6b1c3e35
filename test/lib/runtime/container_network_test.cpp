// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/container_network.hpp"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <exception>
#include <filesystem>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/network/reserved_ports.hpp"
#include "test/lib/runtime/husk_bench.hpp"

using namespace husk;
using namespace husk::runtime;
using namespace husk::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// What husk finds where the pid of a shim that has ended is another process's by now.
struct Other {
  ProcessIdentity of_the_host = *identify_process(::getpid());
  ProcessIdentity reused{.pid = of_the_host.pid, .start_time = of_the_host.start_time + 1};
  std::string hosts_refusal = "network namespace /proc/" + std::to_string(of_the_host.pid) +
                              "/ns/net: is the host's, which a VM cannot join";
  std::string ended = "the shim: process " + std::to_string(of_the_host.pid) + ": has ended";
};

enum Range : int { before_the_vm, reserved, other, failed };

/// In a process of its own, which goes into a new network namespace.
Range ports_after_unplugging(bool is_kept, const network::PortRange& now) noexcept try {
  const std::string vm_id = "00001234";
  const network::PortRange before{20000, 30000};
  check_sys(::unshare(CLONE_NEWNET), "unshare");
  fs::create_directories(VmPaths(vm_id).network());
  fs::remove(VmPaths(vm_id).network_ports());
  if (is_kept) write_file_atomic(VmPaths(vm_id).network_ports(), to_string(before), 0600);
  const auto ns = network::NetworkNamespace::of_path("/proc/self/ns/net");
  network::use_ports(ns, now);
  unplug_all("/proc/self/ns/net", vm_id);
  const network::PortRange after = network::read_ports(ns);
  if (after == before) return before_the_vm;
  return after == network::reserved_ports ? reserved : other;
} catch (const std::exception&) {
  return failed;
}

}  // namespace

TEST_CASE("container network: neither the host's namespace nor that of another process gets a tap",
          "[runtime]") {
  const Other other;
  const auto card = hypervisor::network_card("00001234", 0);
  CHECK(failure_text([&] { place_taps({card}, other.of_the_host); }) ==
        "network card " + card.tap + ": " + other.hosts_refusal);
  CHECK(failure_text([&] { place_taps({card}, other.reused); }) == other.ended);
}

TEST_CASE("container network: neither the host's namespace nor that of another process is carried",
          "[runtime][root]") {
  HuskBench bench;
  bench.create();
  VmHandle vm = VmHandle::open(bench.vm_id());
  guestcomm::AgentClient agent = vm.connect(10s);
  const auto carry = [&](const ProcessIdentity& shim) {
    ContainerNetwork(vm.lock_network(), shim, vm, {}, agent);
  };
  const Other other;
  CHECK(failure_text([&] { carry(other.of_the_host); }) == other.hosts_refusal);
  CHECK(failure_text([&] { carry(other.reused); }) == other.ended);
}

TEST_CASE("unplug_all: the namespace gets the range of ports back that it had", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const OwnRun own_run;
  const auto range_after = [](bool is_kept, const network::PortRange& now) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(ports_after_unplugging(is_kept, now));
    int status = 0;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  const network::PortRange changed_since{40000, 50000};
  CHECK(range_after(true, network::reserved_ports) == before_the_vm);
  CHECK(range_after(false, network::reserved_ports) == reserved);
  CHECK(range_after(true, changed_since) == other);
}
