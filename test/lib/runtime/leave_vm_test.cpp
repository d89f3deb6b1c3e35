// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/leave_vm.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/runtime/vm/vm_directory.hpp"
#include "lib/runtime/vm/vm_record.hpp"
#include "test/lib/runtime/husk_bench.hpp"
#include "test/lib/runtime/named_process.hpp"

using namespace husk;
using namespace husk::test;
using namespace std::chrono_literals;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

using Nothing = std::vector<std::string>;

void change_record(const std::string& vm_id, const std::function<void(json&)>& change) {
  const fs::path path = runtime::VmPaths(vm_id).record();
  json record = json::parse(read_file(path, 10'000));
  change(record);
  std::ofstream(path) << record;
}

/// A process that stands for a shim.
class Sleeper {
 public:
  Sleeper() {
    if (pid_ != 0) return;
    ::pause();
    ::_exit(0);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  ~Sleeper() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ProcessIdentity process() const { return process_; }
  bool runs() const { return is_alive(process_); }

 private:
  pid_t pid_ = ::fork();
  ProcessIdentity process_ = identify_process(pid_ == 0 ? ::getpid() : pid_).value();
};

json member_with_shim(const std::string& id, const ProcessIdentity& shim) {
  return {{"id", id}, {"shim", {{"pid", shim.pid}, {"startTime", shim.start_time}}}};
}

}  // namespace

TEST_CASE("delete: a VM whose record is lost is found by its name, and ended", "[runtime][root]") {
  const std::string text =
      GENERATE("", "nothing that is JSON", "[]", "{\"version\": 99, \"name\": 7}");
  CAPTURE(text);
  HuskBench bench;
  bench.create();
  const fs::path record = runtime::VmPaths(bench.vm_id()).record();
  fs::remove(record);
  if (!text.empty()) std::ofstream(record) << text;
  {
    const NamedProcess vm("husk-" + bench.vm_id());
    bench.runtime().remove("c1", true);
    CHECK_FALSE(vm.runs());
  }
  CHECK(bench.machine.destroyed.empty());  // libvirt had noticed
  CHECK(bench.left() == Nothing{});
}

TEST_CASE("delete: of a VM whose record is lost and that has no process libvirt is asked",
          "[runtime][root]") {
  HuskBench bench;
  bench.create();
  const std::string name = runtime::load_vm(bench.vm_id()).name;
  fs::remove(runtime::VmPaths(bench.vm_id()).record());
  bench.runtime().remove("c1", true);
  CHECK(bench.machine.destroyed == std::vector<std::string>{name});
  CHECK(bench.left() == Nothing{});
}

TEST_CASE("delete: a VM of another version's record is ended by what can be read of it",
          "[runtime][root]") {
  HuskBench bench;
  bench.create();
  change_record(bench.vm_id(), [](json& record) {
    record["version"] = 99;
    record["members"] = "of another shape";
    record.erase("secret");
  });
  bench.runtime().remove("c1", true);
  CHECK(bench.machine.destroyed.empty());
  CHECK_FALSE(identify_process(bench.machine.vms.at(0)));
  CHECK(bench.left() == Nothing{});
}

TEST_CASE("delete: what a create left that was killed before it asked libvirt goes",
          "[runtime][root]") {
  HuskBench bench;
  bench.create();
  change_record(bench.vm_id(), [](json& record) {
    record.erase("process");
    record.erase("address");
    record["helpers"] = json::array();
  });
  const NamedProcess half_way("husk-" + bench.vm_id());
  bench.runtime().remove("c1", true);
  CHECK_FALSE(half_way.runs());
}

TEST_CASE("delete: works where the VM's directory is gone already", "[runtime][root]") {
  HuskBench bench;
  bench.create();
  runtime::leave_vm(bench.vm_id(), "c1", "qemu:///system", connecting(bench));
  CHECK_FALSE(fs::exists(runtime::VmPaths(bench.vm_id()).directory));
  bench.runtime().remove("c1", true);
  CHECK(bench.left() == Nothing{});
}

TEST_CASE("leave_vm: members that ended leave the VM's folder to the last of them",
          "[runtime][root]") {
  HuskBench bench;
  bench.create();
  const std::string vm_id = bench.vm_id();
  change_record(vm_id, [](json& record) {
    record["members"] = json::array({{{"id", "c1"}}, {{"id", "c2"}}});
  });
  runtime::leave_vm(vm_id, "c1", "qemu:///system", connecting(bench));
  CHECK(runtime::load_vm(vm_id).members == std::vector<runtime::VmMember>{{"c2"}});
  CHECK_FALSE(identify_process(bench.machine.vms.at(0)));  // nobody is left who would use it
  CHECK_FALSE(fs::exists(runtime::VmPaths(vm_id).shared() / "c1"));
  runtime::leave_vm(vm_id, "c1", "qemu:///system", connecting(bench));  // repeated
  CHECK(runtime::load_vm(vm_id).members == std::vector<runtime::VmMember>{{"c2"}});
  runtime::leave_vm(vm_id, "c2", "qemu:///system", connecting(bench));
  CHECK_FALSE(fs::exists(runtime::VmPaths(vm_id).directory));
  CHECK_FALSE(identify_process(bench.machine.vms.at(0)));
}

TEST_CASE("leave_vm: without a VM there is nothing to do", "[runtime][root]") {
  HuskBench bench;
  CHECK_NOTHROW(runtime::leave_vm("", "c1", "qemu:///system", connecting(bench)));
  CHECK_NOTHROW(runtime::leave_vm("0000dead", "c1", "qemu:///system", connecting(bench)));
  CHECK(bench.machine.destroyed.empty());
}

TEST_CASE("leave_vm: members are known by a record of any version", "[runtime][root]") {
  HuskBench bench;
  bench.create();
  const std::string vm_id = bench.vm_id();
  const Sleeper other;
  change_record(vm_id, [&](json& record) {
    record["version"] = 99;
    record["more"] = "of a later husk";
    record["members"].push_back(member_with_shim("c2", other.process()));
  });
  // The fake guest knows no c2: it would power off with c1's shim.
  REQUIRE(::kill(bench.machine.vms.at(0), SIGSTOP) == 0);
  runtime::leave_vm(vm_id, "c1", "qemu:///system", connecting(bench));
  CHECK(identify_process(bench.machine.vms.at(0)));  // c2 runs in it
  const json record = json::parse(read_file(runtime::VmPaths(vm_id).record(), 10'000));
  CHECK(record["members"] == json::array({member_with_shim("c2", other.process())}));
  CHECK(record["more"] == "of a later husk");
  CHECK_FALSE(fs::exists(runtime::VmPaths(vm_id).shared() / "c1"));
  runtime::leave_vm(vm_id, "c2", "qemu:///system", connecting(bench));
  CHECK_FALSE(identify_process(bench.machine.vms.at(0)));
}

TEST_CASE("leave_vm: a VM that others may be in does not end where its record is damaged",
          "[runtime][root]") {
  HuskBench bench;
  bench.create();
  const std::string vm_id = bench.vm_id();
  const bool is_json = GENERATE(true, false);
  fs::create_directory(bench.path("rootfs-2"));
  runtime::VmDirectory(vm_id).add_container("c2", bench.path("rootfs-2"), {});
  const runtime::VmRecord record = runtime::load_vm(vm_id);
  const NamedProcess named(record.name);  // as libvirt would have written its pid
  if (is_json)
    change_record(vm_id, [](json& damaged) { damaged["members"] = "of another shape"; });
  else
    std::ofstream(runtime::VmPaths(vm_id).record()) << "nothing that is JSON";
  CHECK_THROWS_WITH(runtime::leave_vm(vm_id, "c1", "qemu:///system", connecting(bench)),
                    "VM " + vm_id + ": /run/husk-vm/" + vm_id +
                        "/vm.json does not list its containers, and \"c2\" may run in it");
  CHECK(named.runs());
  CHECK(identify_process(bench.machine.vms.at(0)));
  runtime::save_vm(record);
}

TEST_CASE("leave_vm: a shim that the VM's record alone knows ends before it is forgotten",
          "[runtime][root]") {
  HuskBench bench;
  bench.create();
  const std::string vm_id = bench.vm_id();
  const Sleeper unknown;  // c2's, whose create was killed before it wrote down the shim
  change_record(vm_id, [&](json& record) {
    record["members"].push_back(member_with_shim("c2", unknown.process()));
  });
  runtime::leave_vm(vm_id, "c2", "qemu:///system", connecting(bench));
  CHECK_FALSE(unknown.runs());
  CHECK(bench.runtime().state("c1").status == "created");
  CHECK(identify_process(bench.machine.vms.at(0)));
}
