// SPDX-License-Identifier: Apache-2.0
// The VM's size follows its containers: at create, when one joins or leaves, and at update.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/runtime/host/cgroup_hierarchies.hpp"
#include "lib/runtime/plan/vm_shape.hpp"
#include "lib/runtime/vm/vm_lock.hpp"
#include "lib/runtime/vm/vm_record.hpp"
#include "test/lib/runtime/husk_bench.hpp"

using namespace husk;
using namespace husk::test;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t mib = 1 << 20;

oci::Resources memory(std::int64_t limit_mib) {
  oci::Resources resources;
  resources.memory.emplace().limit = limit_mib * mib;
  return resources;
}

oci::Resources cpus(std::int64_t count) {
  oci::Resources resources;
  resources.cpu.emplace();
  resources.cpu->quota = count * 100000;
  resources.cpu->period = 100000;
  return resources;
}

/// Room for what the tests ask for, on whatever host they run.
struct Sizes {
  Sizes() {
    bench.config.max_vcpus = 1;
    bench.config.max_memory_mib = 2048;
  }
  ~Sizes() {
    for (const char* id : {"c1", "c2"}) bench.runtime().remove(id, true);
  }
  void create(std::int64_t limit_mib) {
    bench.spec.linux_.resources = memory(limit_mib);
    bench.create();
  }
  /// c2, in the VM of c1.
  void join(std::int64_t limit_mib) {
    for (oci::Namespace& ns : bench.spec.linux_.namespaces)
      if (ns.type == "network")
        ns.path = "/proc/" + std::to_string(bench.runtime().state("c1").pid) + "/ns/net";
    bench.spec.linux_.cgroups_path =
        fs::path(bench.spec.linux_.cgroups_path).parent_path().string() + "-2";
    bench.id = "c2";
    create(limit_mib);
  }
  std::uint64_t memory_mib() const {
    return runtime::size_of(runtime::load_vm(bench.vm_id()).shape.value()).memory_mib;
  }
  bool asked(const std::string& line) const {
    const auto journal = bench.journal();
    return std::ranges::find(journal, line) != journal.end();
  }
  /// What libvirt was asked for last.
  std::uint64_t requested() const { return bench.machine.memory.value().requested_mib; }

  /// Reads a file of the cgroup that the VM is in.
  std::string host_limit(const std::string& v1, const std::string& v2) const {
    const auto vm = runtime::load_vm(bench.vm_id()).process.value();
    for (const runtime::MemberCgroup& cgroup : runtime::find_cgroups_of(vm.pid)) {
      const fs::path file = cgroup.directory / (cgroup.hierarchy.v2 ? v2 : v1);
      if (fs::exists(file)) return read_file(file, 4096);
    }
    return "the host has no such controller";
  }
  std::uint64_t host_memory_mib() const {
    return std::stoull(host_limit("memory.limit_in_bytes", "memory.max")) >> 20U;
  }
  std::uint64_t recorded_memory_mib() const {
    return runtime::load_vm(bench.vm_id()).limits.memory_bytes.value() >> 20U;
  }

  HuskBench bench;
};

}  // namespace

TEST_CASE("size: a container gets what its limit says once its guest has the memory",
          "[runtime][root]") {
  Sizes s;
  s.create(1000);
  CHECK(s.memory_mib() == 1000 + runtime::guest_overhead_mib(1000));
  CHECK(s.asked("resize 512 1"));
  CHECK_FALSE(s.bench.machine.memory);  // the VM starts so
}

TEST_CASE("size: a guest that does not take its memory is refused", "[runtime][root]") {
  Sizes s;
  s.bench.machine.fault = Fault::takes_no_memory;
  CHECK_THROWS_WITH(s.create(1000), ContainsSubstring("the guest took 0 of 512 MiB"));
  CHECK(s.bench.left().empty());
}

TEST_CASE("size: update grows and shrinks the VM", "[runtime][root]") {
  Sizes s;
  s.create(200);
  CHECK(s.memory_mib() < 512);
  const std::uint64_t before = s.memory_mib();
  s.bench.runtime().update("c1", memory(1000));
  CHECK(s.memory_mib() >= 1000 + runtime::guest_overhead_mib(1000));
  CHECK(s.memory_mib() == before + s.requested());
  s.bench.runtime().update("c1", memory(200));
  CHECK(s.memory_mib() == before);
  CHECK(s.requested() == 0);
  CHECK(std::ranges::count(s.bench.journal(), "update c1") == 2);
}

TEST_CASE("size: an update that is refused changes nothing", "[runtime][root]") {
  Sizes s;
  s.create(200);
  const std::uint64_t before = s.memory_mib();
  SECTION("by the administrator's bounds") {
    CHECK_THROWS_WITH(s.bench.runtime().update("c1", memory(4000)),
                      ContainsSubstring("vm.max_memory_mib is 2048 MiB"));
    CHECK_THROWS_WITH(s.bench.runtime().update("c1", cpus(2)),
                      ContainsSubstring("vm.max_vcpus is 1"));
    CHECK_FALSE(s.bench.machine.memory);
  }
  SECTION("by libvirt") {
    s.bench.machine.refuses_change = true;
    CHECK_THROWS_WITH(s.bench.runtime().update("c1", memory(1000)),
                      ContainsSubstring("the memory cannot be changed"));
  }
  CHECK(s.memory_mib() == before);
  CHECK(runtime::load_vm(s.bench.vm_id()).members.at(0).demand.value().memory_mib == 200);
  CHECK_FALSE(s.asked("update c1"));
}

TEST_CASE("size: what a guest refuses is taken back from the VM", "[runtime][root]") {
  Sizes s;
  SECTION("the limit") { s.bench.machine.fault = Fault::refuses_update; }
  SECTION("the memory") { s.bench.machine.fault = Fault::takes_no_memory; }
  s.create(200);
  const std::uint64_t before = s.memory_mib();
  CHECK_THROWS_AS(s.bench.runtime().update("c1", memory(1000)), Error);
  CHECK(s.memory_mib() == before);
  CHECK(s.requested() == 0);
  CHECK(runtime::load_vm(s.bench.vm_id()).members.at(0).demand.value().memory_mib == 200);
}

TEST_CASE("size: a VM grows for who joins, and shrinks when it leaves", "[runtime][root]") {
  Sizes s;
  s.create(200);
  const std::uint64_t before = s.memory_mib();
  s.join(800);
  CHECK(s.memory_mib() >= 1000 + runtime::guest_overhead_mib(1000));
  s.bench.runtime().remove("c2", true);
  s.bench.id = "c1";
  CHECK(s.memory_mib() == before);
}

TEST_CASE("size: who joins a VM without room for it is refused", "[runtime][root]") {
  Sizes s;
  s.bench.config.max_memory_mib = 600;
  s.create(200);
  s.bench.config.max_memory_mib = 0;
  CHECK_THROWS_WITH(s.join(800), ContainsSubstring("linux.resources.memory.limit is 800 MiB, the "
                                                   "VM can have "));
  CHECK_THROWS_WITH(s.bench.runtime().state("c2"), "container does not exist");
  s.bench.id = "c1";
  CHECK(runtime::load_vm(s.bench.vm_id()).members.size() == 1);
}

TEST_CASE("size: containers whose limits together are more than there can be get what there is",
          "[runtime][root]") {
  Sizes s;
  s.bench.config.max_memory_mib = 600;
  s.create(400);
  s.join(400);
  s.bench.runtime().update("c1", cpus(1));
  CHECK(s.memory_mib() <= 600);
  CHECK(s.memory_mib() >= 600 - hypervisor::memory_step_mib);
}

TEST_CASE("size: memory that could not be taken back is given again", "[runtime][root]") {
  Sizes s;
  s.create(1000);
  const std::uint64_t before = s.memory_mib();
  s.bench.machine.refuses_change = true;
  s.bench.runtime().update("c1", memory(200));  // with a warning
  CHECK(s.memory_mib() < before);
  s.bench.machine.refuses_change = false;
  s.bench.runtime().update("c1", memory(1000));
  CHECK(s.requested() == 512);
}

TEST_CASE("size: who has a limit lifted keeps what is there", "[runtime][root]") {
  Sizes s;
  s.create(1000);
  const std::uint64_t before = s.memory_mib();
  oci::Resources lifted;
  lifted.memory.emplace().limit = -1;
  s.bench.runtime().update("c1", lifted);
  CHECK(s.memory_mib() == before);
}

TEST_CASE("size: the host limits the VM to its size and that of the hypervisor",
          "[runtime][root]") {
  Sizes s;
  s.create(200);
  const std::uint64_t before = s.host_memory_mib();
  CHECK(before > s.memory_mib());
  CHECK(before == s.recorded_memory_mib());
  s.bench.runtime().update("c1", memory(1000));
  CHECK(s.host_memory_mib() >= before + 500);
  s.bench.runtime().update("c1", memory(200));
  CHECK(s.host_memory_mib() == before);
}

TEST_CASE("size: CPU time and processes are limited on the host, as update says",
          "[runtime][root]") {
  Sizes s;
  s.bench.spec.linux_.resources = cpus(1);
  s.bench.spec.linux_.resources->pids_limit = 50;
  s.bench.create();
  const auto quota = [&] { return s.host_limit("cpu.cfs_quota_us", "cpu.max"); };
  CHECK_THAT(quota(), Catch::Matchers::StartsWith("200000"));
  CHECK(s.host_limit("pids.max", "pids.max") == "712\n");
  oci::Resources half = cpus(1);
  half.cpu->quota = 50000;
  half.pids_limit = -1;
  s.bench.runtime().update("c1", half);
  CHECK_THAT(quota(), Catch::Matchers::StartsWith("150000"));
  CHECK(s.host_limit("pids.max", "pids.max") == "max\n");
}

TEST_CASE("size: a VM that moves to the cgroup of who stays is limited there", "[runtime][root]") {
  Sizes s;
  s.create(200);
  const std::uint64_t before = s.host_memory_mib();
  s.join(200);
  s.bench.runtime().remove("c1", true);
  CHECK(s.host_memory_mib() == before);
}

TEST_CASE("size: a guest that keeps its memory is not killed for it", "[runtime][root]") {
  Sizes s;
  s.bench.machine.fault = Fault::keeps_memory;
  s.create(1000);
  const std::uint64_t before = s.host_memory_mib();
  s.bench.runtime().update("c1", memory(200));
  CHECK(s.host_memory_mib() == before);
}

TEST_CASE("size: a VM of a husk that set no limits is not killed by the first ones",
          "[runtime][root]") {
  Sizes s;
  s.bench.machine.fault = Fault::keeps_memory;
  s.create(1000);
  const std::uint64_t before = s.host_memory_mib();
  runtime::change_vm(s.bench.vm_id(), [](runtime::VmRecord& vm) { vm.limits = {}; });
  SECTION("that asks for less") {
    s.bench.runtime().update("c1", memory(200));
    CHECK(s.host_memory_mib() == before);
  }
  SECTION("that asks for other things") {
    s.bench.runtime().update("c1", cpus(1));
    CHECK(s.host_memory_mib() >= before);
  }
}

TEST_CASE("size: CPUs that the host does not have leave no other limit behind", "[runtime][root]") {
  Sizes s;
  s.create(200);
  const auto limit = [&] { return s.host_limit("cpu.cfs_quota_us", "cpu.max"); };
  const std::string before = limit();
  oci::Resources update = cpus(1);
  update.cpu->cpus = "4000";
  CHECK_THROWS_WITH(s.bench.runtime().update("c1", update),
                    ContainsSubstring("linux.resources.cpu.cpus: \"4000\" is not what this host"));
  CHECK(limit() == before);
  CHECK_FALSE(runtime::load_vm(s.bench.vm_id()).limits.quota_us);
}

TEST_CASE("size: a guest that does not answer is limited all the same", "[runtime][root]") {
  Sizes s;
  s.create(200);
  s.join(200);
  s.bench.machine.refuses_change = true;
  s.bench.runtime().update("c2", memory(1));  // so that there is less to ask for
  s.bench.runtime().remove("c1", true);
  CHECK(s.host_memory_mib() == s.recorded_memory_mib());
}
