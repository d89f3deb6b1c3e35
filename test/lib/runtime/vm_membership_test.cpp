// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/runtime/plan/file_server_plan.hpp"
#include "lib/runtime/vm/membership.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/runtime/vm/vm_lock.hpp"
#include "test/lib/runtime/husk_bench.hpp"

using namespace husk;
using namespace husk::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

runtime::VmPlan make_plan(const HuskBench& bench) {
  runtime::VmPlan plan{
      .id = "00001234",
      .secret = std::string(32, '5'),
      .uri = "qemu:///system",
      .user = {},
      .vsock_device = runtime::VsockDeviceIs::program,
      .files =
          runtime::plan_file_server(runtime::find_virtiofsd({}),
                                    {runtime::VmPaths("00001234").shared(), "", 1000, false}, {}),
      .network_namespace = {},
      .assets = {bench.path("kernel"), bench.path("initrd"), bench.path("firmware")},
      .programs = {},
      .vm = {}};
  plan.vm.name = "husk-00001234";
  return plan;
}

}  // namespace

TEST_CASE("NewVm: is written down before libvirt is asked, and held by its lock",
          "[runtime][root]") {
  HuskBench bench;
  bench.machine.fault = Fault::refuses_create;  // libvirt has been asked by then
  CHECK_THROWS_AS(bench.create(), Error);
  const auto record = json::parse(bench.machine.record_at_start).get<runtime::VmRecord>();
  CHECK(record.name == "husk-" + record.id);
  CHECK(record.uri == "qemu:///system");
  CHECK(record.secret.size() == 32);
  REQUIRE(record.members.size() == 1);
  CHECK(record.members[0].id == "c1");
  CHECK(record.members[0].shim);  // the keeper may have to know
  CHECK_FALSE(record.process);
  CHECK(bench.machine.was_locked_at_start);
}

TEST_CASE("VmHandle: a created container's VM is known by its process, and can be reached",
          "[runtime][root]") {
  HuskBench bench;
  bench.create();
  const runtime::VmRecord record = runtime::load_vm(bench.vm_id());
  REQUIRE(record.process);
  CHECK(record.process->pid == bench.machine.vms.at(0));
  REQUIRE(record.members.size() == 1);
  CHECK(record.members[0].shim == identify_process(bench.runtime().state("c1").pid));
  const auto vm = runtime::VmHandle::open(record.id);
  CHECK(vm.guest().secret == record.secret);
  CHECK_NOTHROW(vm.connect(5s).call(
      guestcomm::SignalProcess{.process = {"c1", {}}, .signal = SIGUSR1, .all = false}, 5s));
  CHECK(bench.await_journal("signal 10"));
  CHECK_FALSE(is_locked(runtime::VmPaths(record.id).directory));  // neither by create nor by open
}

TEST_CASE("VmHandle: opening a VM leaves the VM as it is", "[runtime][root]") {
  HuskBench bench;
  bench.create();
  { const auto vm = runtime::VmHandle::open(bench.vm_id()); }
  CHECK(fs::exists(runtime::VmPaths(bench.vm_id()).shared() / "c1/rootfs"));
  CHECK(bench.runtime().state("c1").status == "created");
  CHECK_THROWS_WITH(runtime::VmHandle::open("0000dead"), "VM 0000dead: is gone");
}

TEST_CASE("NewVm: is removed with all that was made unless kept", "[runtime][root]") {
  HuskBench bench;
  const runtime::VmPaths paths("00001234");
  {
    runtime::NewVm vm(make_plan(bench));
    vm.directory().add_container("c1", bench.path("bundle/rootfs"), {});
    CHECK(fs::exists(paths.rootfs("c1") / "bin"));
    CHECK_THROWS_WITH(vm.handle().guest(), "VM 00001234: has not been started");
  }
  CHECK_FALSE(fs::exists("/run/husk-vm"));
  {
    runtime::NewVm vm(make_plan(bench));
    vm.keep();
  }
  CHECK(runtime::load_vm("00001234").members.empty());
  runtime::remove_vm_directory("00001234");
}

TEST_CASE("Membership: a container leaves the VM that it joined unless kept", "[runtime][root]") {
  HuskBench bench;
  const runtime::VmPaths paths("00001234");
  {
    runtime::NewVm vm(make_plan(bench));
    vm.keep();
  }
  const runtime::StateStore store(bench.path("other-root"));
  std::vector<runtime::ContainerRecord> containers(2);
  containers[0].id = "c1", containers[1].id = "c2";
  for (runtime::ContainerRecord& container : containers) container.vm_id = "00001234";
  runtime::StateDir state = store.reserve("c1"), other_state = store.reserve("c2");
  std::optional<runtime::Membership> first(std::in_place, containers[0], std::nullopt, std::nullopt,
                                           connecting(bench), state);
  first->pin_files(bench.path("bundle/rootfs"), {});
  CHECK_THROWS_WITH(
      runtime::Membership(containers[0], std::nullopt, std::nullopt, connecting(bench), state),
      "VM 00001234: container with given ID already exists in it");
  {
    const runtime::Membership second(containers[1], std::nullopt, std::nullopt, connecting(bench),
                                     other_state);
    CHECK(runtime::load_vm("00001234").members == std::vector<runtime::VmMember>{{"c1"}, {"c2"}});
  }
  CHECK(runtime::load_vm("00001234").members == std::vector<runtime::VmMember>{{"c1"}});
  CHECK(fs::exists(paths.rootfs("c1") / "bin"));
  first.reset();
  CHECK_FALSE(fs::exists(paths.directory));  // the last one ends the VM
  CHECK_THROWS_WITH(
      runtime::Membership(containers[0], std::nullopt, std::nullopt, connecting(bench), state),
      "VM 00001234: is gone");
}

TEST_CASE("Membership: files come into a VM that runs with the VM's lock alone",
          "[runtime][root]") {
  HuskBench bench;
  {
    runtime::NewVm vm(make_plan(bench));
    vm.keep();
  }
  const runtime::StateStore store(bench.path("other-root"));
  runtime::ContainerRecord container;
  container.id = "c1", container.vm_id = "00001234";
  runtime::StateDir state = store.reserve("c1");
  runtime::Membership member(container, std::nullopt, std::nullopt, connecting(bench), state);
  std::optional<DirectoryLock> leaving = runtime::lock_vm("00001234");
  const runtime::VmPaths paths("00001234");
  bool were_there = true;
  std::thread other([&] {
    std::this_thread::sleep_for(50ms);  // in which the files would be there long since
    were_there = fs::exists(paths.rootfs("c1"));
    leaving.reset();
  });
  member.pin_files(bench.path("bundle/rootfs"), {});
  other.join();
  CHECK_FALSE(were_there);
  CHECK(fs::exists(paths.rootfs("c1") / "bin"));
}

TEST_CASE("Membership: a tmpfs that the guest keeps is on record, once", "[runtime][root]") {
  HuskBench bench;
  {
    runtime::NewVm vm(make_plan(bench));
    vm.keep();
  }
  const runtime::StateStore store(bench.path("other-root"));
  runtime::ContainerRecord container;
  container.id = "c1", container.vm_id = "00001234";
  runtime::StateDir state = store.reserve("c1");
  runtime::Membership member(container, std::nullopt, std::nullopt, connecting(bench), state);
  runtime::GuestPlan plan;
  plan.shared_tmpfs = {{.name = "0:1", .is_kept = true},
                       {.name = "0:2", .is_kept = false},
                       {.name = "0:1", .is_kept = true}};
  member.pin_files(bench.path("bundle/rootfs"), plan);
  CHECK(runtime::load_vm("00001234").guest_tmpfs == std::vector<std::string>{"0:1"});
}

TEST_CASE("VmHandle: commands that find no record of the VM say so", "[runtime][root]") {
  HuskBench bench;
  bench.create();
  fs::remove(runtime::VmPaths(bench.vm_id()).record());
  CHECK_THAT(failure_text([&] { bench.runtime().start("c1"); }),
             ContainsSubstring("VM " + bench.vm_id() + ": is gone"));
  CHECK_THAT(failure_text([&] { bench.runtime().kill("c1", SIGTERM, false); }),
             ContainsSubstring("VM " + bench.vm_id() + ": is gone"));
  bench.runtime().kill("c1", SIGKILL, false);  // by the shim's pid, at the latest
  CHECK(bench.runtime().state("c1").status == "stopped");
}
