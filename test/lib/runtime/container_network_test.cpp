// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/container_network.hpp"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "lib/base/error.hpp"
#include "test/lib/runtime/husk_bench.hpp"

using namespace husk;
using namespace husk::runtime;
using namespace husk::test;
using namespace std::chrono_literals;

namespace {

/// What husk finds where the pid of a shim that has ended is another process's by now.
struct Other {
  ProcessIdentity of_the_host = *identify_process(::getpid());
  ProcessIdentity reused{.pid = of_the_host.pid, .start_time = of_the_host.start_time + 1};
  std::string hosts_refusal = "network namespace /proc/" + std::to_string(of_the_host.pid) +
                              "/ns/net: is the host's, which a VM cannot be in";
  std::string ended = "process " + std::to_string(of_the_host.pid) + ": has ended";
};

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
  Sandbox sandbox = Sandbox::open(bench.vm_id());
  guestcomm::AgentClient agent = sandbox.connect(10s);
  const auto carry = [&](const ProcessIdentity& shim) {
    ContainerNetwork(sandbox.lock_network(), shim, sandbox, {}, agent);
  };
  const Other other;
  CHECK(failure_text([&] { carry(other.of_the_host); }) == other.hosts_refusal);
  CHECK(failure_text([&] { carry(other.reused); }) == other.ended);
}
