// SPDX-License-Identifier: Apache-2.0
// Containers that get a VM of the pool, with the real keeper and fake VMs.
#include "lib/runtime/pool.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>

#include "lib/base/directory_lock.hpp"
#include "lib/base/files.hpp"
#include "lib/runtime/host/cgroup_hierarchies.hpp"
#include "lib/runtime/plan/vm_paths.hpp"
#include "lib/runtime/spare_in_making.hpp"
#include "lib/runtime/vm/vm_directory.hpp"
#include "lib/runtime/vm/vm_record.hpp"
#include "lib/systemd/scope.hpp"
#include "test/lib/runtime/husk_bench.hpp"
#include "test/lib/systemd/fake_manager.hpp"

using namespace husk;
using namespace husk::test;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

struct PoolBench : HuskBench {
  PoolBench() { config.pool.size = 1; }
  ~PoolBench() {
    runtime().remove(id, true);
    drain();
  }
  runtime::Pool pool() { return {config, paths, connecting(*this)}; }
  void fill() {
    runtime::fill_pool(pool(), runtime::PoolPatience::wait, [](const std::string&) {});
  }
  void drain() {
    runtime::drain_pool(connecting(*this), [](const std::string&) {});
  }
  std::vector<std::string> states() {
    std::vector<std::string> all;
    for (const runtime::PoolVm& vm : runtime::list_pool(pool())) all.push_back(vm.state);
    return all;
  }
  std::string only_spare() { return runtime::list_pool(pool()).at(0).id; }
  bool was_claimed() const { return std::ranges::count(journal(), "claim") == 1; }
};

/// As a husk leaves it that is killed while it makes that VM.
void leave_note(const std::string& vm_id) {
  fs::create_directory(runtime::pool_directory);
  fs::permissions(runtime::pool_directory, fs::perms::owner_all);
  write_new_file(AT_FDCWD, fs::path(runtime::pool_directory) / vm_id, "", 0600);
}

using States = std::vector<std::string>;

}  // namespace

TEST_CASE("pool: a container gets the VM that has booted, and ends with the VM", "[commands]") {
  PoolBench bench;
  bench.fill();
  CHECK(bench.states() == States{"ready"});
  const std::string spare = bench.only_spare();
  const std::string first_secret = runtime::load_vm(spare).secret;
  bench.create_and_start();
  CHECK(bench.vm_id() == spare);
  CHECK(bench.was_claimed());
  CHECK(bench.machine.vms.size() == 1);
  CHECK(runtime::load_vm(spare).secret != first_secret);
  CHECK(bench.states().empty());
  bench.drain();  // is no matter of the pool any more
  CHECK(bench.runtime().state(bench.id).status == "running");
  bench.runtime().remove(bench.id, true);
  CHECK_FALSE(fs::exists(runtime::VmPaths(spare).directory));
  CHECK(bench.left().empty());
}

TEST_CASE("pool: a VM that is not what would be started is left alone, and replaced",
          "[commands]") {
  PoolBench bench;
  bench.fill();
  const std::string spare = bench.only_spare();
  bench.config.kernel_arguments = "other";
  CHECK(bench.states() == States{"stale"});
  bench.create();
  CHECK(bench.vm_id() != spare);
  CHECK(bench.machine.vms.size() == 2);
  bench.fill();
  CHECK(bench.states() == States{"ready"});
  CHECK(bench.only_spare() != spare);
  CHECK_FALSE(fs::exists(runtime::VmPaths(spare).directory));
}

TEST_CASE("pool: a VM that is too old, or another command's, is not taken", "[commands]") {
  PoolBench bench;
  bench.fill();
  const std::string spare = bench.only_spare();
  SECTION("old") {
    bench.config.pool.max_age = std::chrono::seconds(-1);
    bench.create();
  }
  SECTION("locked") {
    const auto lock =
        DirectoryLock::try_lock(runtime::VmPaths(spare).directory, std::chrono::milliseconds(100));
    REQUIRE(lock);
    bench.create();
  }
  SECTION("no pool") {
    bench.config.pool.size = 0;
    bench.create();
  }
  CHECK(bench.vm_id() != spare);
  CHECK_FALSE(bench.was_claimed());
}

TEST_CASE("pool: a VM that has booted has the CPU time of any other, to answer in time",
          "[commands]") {
  PoolBench bench;
  bench.fill();
  for (const runtime::MemberCgroup& cgroup : runtime::find_cgroups_of(bench.machine.vms.at(0))) {
    const fs::path weight = cgroup.directory / (cgroup.hierarchy.v2 ? "cpu.weight" : "cpu.shares");
    INFO(weight);
    if (fs::exists(weight))
      CHECK(read_file(weight, 16) == (cgroup.hierarchy.v2 ? "100\n" : "1024\n"));
  }
}

TEST_CASE("pool: a VM that does not answer is ended, and another one boots", "[commands]") {
  PoolBench bench;
  const int signal = GENERATE(0, SIGSTOP, SIGKILL);
  if (signal == 0) bench.machine.fault = Fault::refuses_claim;
  bench.fill();
  const std::string spare = bench.only_spare();
  if (signal != 0) ::kill(bench.machine.vms.at(0), signal);
  bench.machine.fault = Fault::none;
  bench.create_and_start();
  CHECK(bench.vm_id() != spare);
  CHECK_FALSE(fs::exists(runtime::VmPaths(spare).directory));
  CHECK(bench.states().empty());
}

TEST_CASE("pool: a container that cannot be created takes its VM along", "[commands]") {
  PoolBench bench;
  bench.machine.fault = Fault::refuses_create;
  bench.fill();
  const std::string spare = bench.only_spare();
  CHECK_THROWS_WITH(bench.create(), ContainsSubstring("no such program in the image"));
  CHECK(bench.was_claimed());
  CHECK_FALSE(fs::exists(runtime::VmPaths(spare).directory));
  CHECK(bench.left().empty());
}

TEST_CASE("pool: a taken id costs no VM of the pool", "[commands]") {
  PoolBench bench;
  bench.create();
  bench.fill();
  CHECK_THROWS(bench.create());
  CHECK(bench.states() == States{"ready"});
}

TEST_CASE("refill_pool: systemd is told where the program is installed", "[commands][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  systemd::FakeManager manager;
  fs::create_directory("/run/systemd/system");  // in the /run of the fake manager
  runtime::refill_pool("/etc/other.toml");
  const systemd::StartRequest request = manager.requests().at(0);
  const std::string program = fs::read_symlink("/proc/self/exe");
  CHECK(request.unit == "husk-pool-refill.service");
  CHECK(request.properties.at("ExecStart") ==
        "a(sasb) [(" + program + ", [" + program +
            ", --config, /etc/other.toml, pool, fill, --no-wait], false)]");
  CHECK(request.properties.at("StandardError") == "s journal");
}

TEST_CASE("pool: draining leaves nothing", "[commands]") {
  PoolBench bench;
  bench.config.pool.size = 2;
  bench.fill();
  CHECK(bench.states() == States{"ready", "ready"});
  bench.config.pool.size = 1;
  bench.fill();
  CHECK(bench.states() == States{"ready"});
  bench.drain();
  CHECK(bench.states().empty());
  CHECK(runtime::vm_ids().empty());
}

TEST_CASE("pool: what a fill left that was killed before its VM had a mark", "[commands]") {
  PoolBench bench;
  const std::string killed = "0a1b2c3d";
  leave_note(killed);
  runtime::VmDirectory directory(killed,
                                 {.kernel = bench.paths.kernel,
                                  .initrd = bench.paths.initrd,
                                  .firmware = *bench.config.firmware},
                                 "", "");
  directory.keep();
  runtime::HostCgroup cgroup(runtime::plan_spare_cgroup(killed, systemd::is_running()));
  cgroup.keep();
  SECTION("fill") {
    bench.fill();
    CHECK(bench.states() == States{"ready"});
  }
  SECTION("drain") {}
  bench.drain();
  CHECK_FALSE(fs::exists(runtime::VmPaths(killed).directory));
  CHECK(std::ranges::none_of(cgroup.made(), [&](const fs::path& made) {
    return made.string().find(killed) != std::string::npos && fs::exists(made);
  }));
  CHECK(bench.left().empty());
}

TEST_CASE("pool: a VM stays whose fill was killed when the VM was ready", "[commands]") {
  PoolBench bench;
  bench.fill();
  const std::string spare = bench.only_spare();
  leave_note(spare);
  SECTION("in the pool") {
    bench.fill();
    CHECK(bench.only_spare() == spare);
  }
  SECTION("a container's") {
    bench.create_and_start();
    bench.fill();
    CHECK(bench.runtime().state(bench.id).status == "running");
    CHECK(bench.vm_id() == spare);
  }
  bench.runtime().remove(bench.id, true);
  bench.drain();
  CHECK(bench.left() == std::vector<std::string>());
}
