// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/vm_record.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/random_id.hpp"
#include "lib/runtime/vm/vm_directory.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

VmRecord make_vm_record(const std::string& id) {
  return {.id = id,
          .name = "husk-" + id,
          .uri = "qemu:///system",
          .secret = std::string(32, '5'),
          .members = {{"c1", ProcessIdentity{11, 12},
                       Demand{.memory_mib = 64,
                              .quota_us = 5,
                              .period_us = 10,
                              .cpuset = 2,
                              .cpus = "0-1",
                              .mems = "0",
                              .cpu_shares = 512,
                              .processes = 9}},
                      {.id = "c2", .demand = Demand{}},
                      {"c3"}},
          .network_namespace = "/run/netns/x",
          .pod = VmPod{.root = "/run/husk", .sandbox = "S", .network = NamespaceId{4, 17}},
          .cgroups = {"/sys/fs/cgroup/p", "/sys/fs/cgroup/p/crio-S"},
          .shape = hypervisor::VmShape{.vcpus = 2,
                                       .max_vcpus = 4,
                                       .memory_mib = 512,
                                       .memory_device = hypervisor::MemoryDevice{1024, 128}},
          .pod_demand = {.memory_mib = 100},
          .fixed_size = {.memory_mib = 0, .vcpus = 2},
          .accelerator = hypervisor::Accelerator::kvm,
          .limits = {.memory_bytes = 1,
                     .quota_us = 2,
                     .cpu_shares = 3,
                     .cpus = "4",
                     .mems = "5",
                     .processes = 6},
          .guest_tmpfs = {"0:57", "0:58"},
          .process = ProcessIdentity{7, 8},
          .helpers = {{9, 10}, {11, 12}},
          .address = guestcomm::VsockAddress{5}};
}

/// A VM's directory with nothing in it.
struct Directory {
  Directory() { fs::create_directories(path); }
  ~Directory() {
    fs::remove_all(path);
    ::rmdir(vm_directories);
  }
  void write(const std::string& text) const { std::ofstream(path / "vm.json") << text; }
  std::string id = random_hex(4);
  fs::path path = VmPaths(id).directory;
};

bool is_empty(const VmLeftOvers& left) {
  return left.name.empty() && left.uri.empty() && !left.process && left.helpers.empty();
}

}  // namespace

TEST_CASE("VmRecord: comes back as it was, however much is known", "[runtime]") {
  VmRecord record = make_vm_record("00001234");
  SECTION("a running VM, by vsock") {}
  SECTION("a running VM, by a socket") {
    record.address = guestcomm::HybridAddress{"/run/husk-vm/00001234/vsock/vsock.sock"};
  }
  SECTION("of a pod with a sandbox container") {
    record.pod->network.reset();
    record.cgroups.clear();
    record.guest_tmpfs.clear();
  }
  SECTION("of no pod") { record.pod.reset(); }
  SECTION("without limits, emulated") {
    record.accelerator = hypervisor::Accelerator::tcg;
    record.limits = {};
  }
  SECTION("before it was started") {
    record.process.reset();
    record.network_namespace.reset();
    record.helpers.clear();
    record.address.reset();
    record.members.clear();
  }
  const auto back = json(record).get<VmRecord>();
  CHECK(back.id == record.id);
  CHECK(back.name == record.name);
  CHECK(back.uri == record.uri);
  CHECK(back.secret == record.secret);
  CHECK(back.members == record.members);
  CHECK(back.network_namespace == record.network_namespace);
  CHECK(back.pod == record.pod);
  CHECK(back.cgroups == record.cgroups);
  CHECK(back.shape == record.shape);
  CHECK(back.pod_demand == record.pod_demand);
  CHECK(back.fixed_size == record.fixed_size);
  CHECK(back.accelerator == record.accelerator);
  CHECK(back.limits == record.limits);
  CHECK(back.guest_tmpfs == record.guest_tmpfs);
  const VmLeftOvers left = read_vm_left_overs(json(record));
  CHECK(left.pod == record.pod);
  CHECK(left.cgroups == record.cgroups);
  CHECK(back.process == record.process);
  CHECK(back.helpers == record.helpers);
  CHECK(back.address == record.address);
}

TEST_CASE("VmRecord: each field is needed, and of its type", "[runtime]") {
  const char* const field =
      GENERATE("version", "id", "name", "uri", "secret", "members", "helpers");
  CAPTURE(field);
  json missing = make_vm_record("00001234");
  missing.erase(field);
  CHECK_THROWS_WITH(missing.get<VmRecord>(),
                    ContainsSubstring("damaged VM record: ") && ContainsSubstring(field));
  json other = make_vm_record("00001234");
  other[field] = json::object({{"a", "shape"}, {"not", "known"}});
  CHECK_THROWS_WITH(other.get<VmRecord>(), ContainsSubstring("damaged VM record: "));
}

// A conversion would be undefined: the sanitizer ends the test.
TEST_CASE("VmRecord: a number that no integer holds is refused", "[runtime]") {
  const json number = GENERATE(json(1.4e111), json(-1e111), json(1.5), json(UINT64_MAX));
  for (const char* field : {"version", "network_cards"}) {
    json record = make_vm_record("00001234");
    record[field] = number;
    CAPTURE(record.dump());
    CHECK_THROWS_WITH(record.get<VmRecord>(), ContainsSubstring("damaged VM record: "));
  }
  json record = make_vm_record("00001234");
  record["process"] = {{"pid", number}, {"startTime", 7}};
  CHECK_THROWS_WITH(record.get<VmRecord>(), ContainsSubstring("damaged VM record: "));
}

TEST_CASE("VmRecord: a pod without its fields, or with a namespace that is none, is refused",
          "[runtime]") {
  for (const char* pod : {"7", "{}", R"({"root": "/r"})", R"({"root": "/r", "sandbox": 7})",
                          R"({"root": "/r", "sandbox": "S", "network": "4"})",
                          R"({"root": "/r", "sandbox": "S", "network": "4:x"})",
                          R"({"root": "/r", "sandbox": "S", "network": "-4:1"})"}) {
    CAPTURE(pod);
    json record = make_vm_record("00001234");
    record["pod"] = json::parse(pod);
    CHECK_THROWS_AS(record.get<VmRecord>(), Error);
    CHECK_FALSE(read_vm_left_overs(record).pod);
  }
}

TEST_CASE("VmRecord: other versions are refused by their number", "[runtime]") {
  json record = make_vm_record("00001234");
  for (const int version : {0, VmRecord::current_version + 1}) {
    record["version"] = version;
    CHECK_THROWS_WITH(record.get<VmRecord>(),
                      "unsupported VM record version " + std::to_string(version));
  }
}

TEST_CASE("VmLeftOvers: are read of any version, and field by field", "[runtime]") {
  const VmRecord record = make_vm_record("00001234");
  json damaged = record;
  damaged["version"] = 99;
  damaged["members"] = "of a shape that is not known yet";
  damaged.erase("secret");
  VmLeftOvers left = read_vm_left_overs(damaged);
  CHECK(left.name == record.name);
  CHECK(left.uri == record.uri);
  CHECK(left.process == record.process);
  CHECK(left.helpers == record.helpers);
  damaged["name"] = 7;
  damaged["process"] = {{"pid", 7}};  // without the start time nobody knows which process it is
  damaged["helpers"] = {"x", {{"pid", 9}, {"startTime", 10}}, {{"pid", "y"}}};
  left = read_vm_left_overs(damaged);
  CHECK(left.name.empty());
  CHECK(left.uri == record.uri);
  CHECK_FALSE(left.process);
  CHECK(left.helpers == std::vector<ProcessIdentity>{{9, 10}});
  for (const json& other : {json::array(), json("text"), json(7), json()}) {
    CAPTURE(other);
    CHECK(is_empty(read_vm_left_overs(other)));
  }
}

TEST_CASE("VmRecord: is in the VM's directory, and for root alone", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Directory directory;
  save_vm(make_vm_record(directory.id));
  struct stat status {};
  REQUIRE(::stat((directory.path / "vm.json").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  CHECK(load_vm(directory.id).members == make_vm_record(directory.id).members);
  VmRecord changed = make_vm_record(directory.id);
  changed.members = {{"c2"}};
  save_vm(changed);
  CHECK(load_vm(directory.id).members == std::vector<VmMember>{{"c2"}});
  CHECK(std::distance(fs::directory_iterator(directory.path), {}) == 1);  // no temporary file
}

TEST_CASE("VmRecord: what cannot be loaded says why, and is no hindrance to clean-up",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Directory directory;
  const std::string vm = "VM " + directory.id + ": ";
  CHECK_THROWS_WITH(load_vm(directory.id), vm + "is gone");
  CHECK_THROWS_WITH(load_vm("0000dead"), "VM 0000dead: is gone");
  CHECK(is_empty(load_vm_left_overs(directory.id)));
  CHECK(is_empty(load_vm_left_overs("0000dead")));
  for (const char* text : {"", "{", "[]", "{\"version\":1}", "nothing that is JSON"}) {
    CAPTURE(text);
    directory.write(text);
    CHECK_THROWS_WITH(load_vm(directory.id), ContainsSubstring(vm));
    CHECK(is_empty(load_vm_left_overs(directory.id)));
  }
  directory.write("{\"name\": \"" + std::string(2U << 20, 'x') + "\"}");
  CHECK_THROWS_WITH(load_vm(directory.id), ContainsSubstring("larger than"));
  CHECK(is_empty(load_vm_left_overs(directory.id)));
}

TEST_CASE("VmRecord: names nothing but its own VM", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Directory directory;
  const auto check_refused = [&](const json& record, const std::string& why) {
    directory.write(record.dump());
    CHECK_THROWS_WITH(load_vm(directory.id), ContainsSubstring("VM " + directory.id + ": " + why));
  };
  json record = make_vm_record(directory.id);
  record["name"] = "production-database";
  check_refused(record, "damaged VM record: name \"production-database\": is not that of VM");
  CHECK(load_vm_left_overs(directory.id).name.empty());
  check_refused(make_vm_record("0000cafe"), "damaged VM record: belongs to VM 0000cafe");
  record = make_vm_record(directory.id);
  record["id"] = "../../etc";
  check_refused(record, "VM id \"../../etc\": is not 8 hexadecimal digits");
  record = make_vm_record(directory.id);
  record["members"][0]["id"] = "../c1";
  check_refused(record, "invalid container ID format: \"../c1\"");
}

TEST_CASE("vm_ids: tells VMs from what else is in their parent", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Directory directory;
  fs::create_directory(fs::path(vm_directories) / "lost+found");
  const auto ids = vm_ids();
  fs::remove(fs::path(vm_directories) / "lost+found");
  CHECK(std::ranges::find(ids, directory.id) != ids.end());
  CHECK(std::ranges::find(ids, "lost+found") == ids.end());
}
