// SPDX-License-Identifier: Apache-2.0
// A container that is created in the network of another: in that one's VM.
#include <fcntl.h>
#include <sys/mount.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/mount_namespace.hpp"
#include "lib/base/namespace_id.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/vm/vm_directory.hpp"
#include "lib/runtime/vm/vm_record.hpp"
#include "test/lib/runtime/husk_bench.hpp"

using namespace husk;
using namespace husk::test;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

using Nothing = std::vector<std::string>;
using Ids = std::vector<std::string>;

/// c1 runs in a VM of its own; what is created now is c2, in its network.
struct Joining {
  Joining() {
    bench.create();
    vm_id = bench.vm_id();
    bench.id = "c2";
    // Not below the same parent, which would stay: its maker finds the other's in it.
    bench.spec.linux_.cgroups_path =
        fs::path(bench.spec.linux_.cgroups_path).parent_path().string() + "-2";
    for (oci::Namespace& ns : bench.spec.linux_.namespaces)
      if (ns.type == "network") ns.path = "/proc/" + std::to_string(pid_of("c1")) + "/ns/net";
  }
  ~Joining() {
    for (const char* id : {"c1", "c2"}) remove(id);
  }
  void remove(const std::string& id) { bench.runtime().remove(id, true); }
  pid_t pid_of(const std::string& id) { return bench.runtime().state(id).pid; }
  Ids members() const {
    Ids ids;
    for (const runtime::VmMember& member : runtime::load_vm(vm_id).members)
      ids.push_back(member.id);
    return ids;
  }
  bool has_files_of(const std::string& id) const {
    return fs::exists(runtime::VmPaths(vm_id).shared() / id);
  }
  bool vm_runs() const { return identify_process(bench.machine.vms.at(0)).has_value(); }
  /// c2 could not be created: all is as it was.
  void check_only_the_first() {
    CHECK(members() == Ids{"c1"});
    CHECK_FALSE(has_files_of("c2"));
    CHECK_THROWS_WITH(bench.runtime().state("c2"), "container does not exist");
    CHECK(bench.runtime().state("c1").status == "created");
    CHECK(vm_runs());
    CHECK(bench.machine.vms.size() == 1);
  }

  HuskBench bench;
  std::string vm_id;
};

}  // namespace

TEST_CASE("join: the VM is shared, and ends with the last of its containers", "[runtime][root]") {
  Joining j;
  j.bench.create();
  CHECK(j.bench.machine.vms.size() == 1);
  CHECK(j.bench.vm_id() == j.vm_id);
  CHECK(j.members() == Ids{"c1", "c2"});
  CHECK(runtime::live_shims(runtime::load_vm(j.vm_id)).size() == 2);
  const auto cgroups = runtime::StateStore(j.bench.path("root")).load("c2").cgroups;
  REQUIRE_FALSE(cgroups.empty());
  std::string first = "c1", last = "c2";
  SECTION("the first goes first") {}
  SECTION("the second goes first") { std::swap(first, last); }
  j.remove(first);
  CHECK(j.bench.await_journal("delete " + first));
  CHECK(j.members() == Ids{last});
  CHECK_FALSE(j.has_files_of(first));
  CHECK(j.has_files_of(last));
  CHECK(j.bench.runtime().state(last).status == "created");
  CHECK(j.vm_runs());
  const std::vector<pid_t> there = runtime::HostCgroup(j.pid_of(last)).processes();
  CHECK(std::ranges::find(there, j.bench.machine.vms.at(0)) != there.end());
  j.bench.id = last;
  j.remove(last);
  CHECK(j.bench.left() == Nothing{});
  for (const fs::path& cgroup : cgroups) CHECK_FALSE(fs::exists(cgroup));
}

TEST_CASE("join: namespaces are joined on the host, and named to the guest by their numbers",
          "[runtime][root]") {
  Joining j;
  const std::string proc = "/proc/" + std::to_string(j.pid_of("c1")) + "/ns/";
  for (const char* type : {"pid", "ipc"}) {
    std::erase_if(j.bench.spec.linux_.namespaces, [&](const auto& ns) { return ns.type == type; });
    j.bench.spec.linux_.namespaces.push_back({type, proc + type});
  }
  j.bench.create();
  CHECK(j.members() == Ids{"c1", "c2"});
  const std::string own = "/proc/" + std::to_string(j.pid_of("c2")) + "/ns/";
  for (const char* type : {"pid", "ipc", "uts", "net", "mnt"}) {
    CAPTURE(type);
    const bool is_shared = type == std::string("ipc") || type == std::string("net");
    CHECK((fs::read_symlink(own + type) == fs::read_symlink(proc + type)) == is_shared);
  }
  // The pid namespace is shared in the guest alone.
  for (const char* type : {"pid", "ipc"}) {
    const nlohmann::json use{{"type", type},
                             {"name", to_string(namespace_at(own + type, type))},
                             {"way", "join"},
                             {"origin", to_string(namespace_at(proc + type, type))}};
    CHECK(j.bench.await_journal("namespace " + use.dump()));
  }
}

TEST_CASE("join: a pid namespace without its network, or without a container, is refused",
          "[runtime][root]") {
  Joining j;
  const UniqueFd held{::open(("/proc/" + std::to_string(j.pid_of("c1")) + "/ns/pid").c_str(),
                             O_RDONLY | O_CLOEXEC)};
  const std::string path = "/proc/self/fd/" + std::to_string(held.get());
  std::erase_if(j.bench.spec.linux_.namespaces, [](const auto& ns) { return ns.type == "pid"; });
  j.bench.spec.linux_.namespaces.push_back({"pid", path});
  for (oci::Namespace& ns : j.bench.spec.linux_.namespaces)
    if (ns.type == "network") ns.path.reset();
  CHECK_THAT(failure_text([&] { j.bench.create(); }), ContainsSubstring("must join as well"));
  j.bench.id = "c1";
  j.remove("c1");
  j.bench.id = "c2";
  CHECK_THAT(failure_text([&] { j.bench.create(); }),
             ContainsSubstring("is not that of a container in a VM"));
  CHECK(j.bench.left() == Nothing{});
}

TEST_CASE("join: what fails on the way is undone, and the other container is none the worse",
          "[runtime][root]") {
  Joining j;
  SECTION("a hook") {
    j.bench.spec.hooks.create_runtime = {script_hook(j.bench, "exit 7")};
    CHECK_THAT(failure_text([&] { j.bench.create(); }), ContainsSubstring("createRuntime"));
  }
  SECTION("a mount's source") {
    oci::Mount mount;
    mount.destination = "/data";
    mount.source = "/none";
    mount.options = {"bind"};
    j.bench.spec.mounts.push_back(mount);
    CHECK_THAT(failure_text([&] { j.bench.create(); }), ContainsSubstring("/none"));
  }
  j.check_only_the_first();
  j.bench.spec.hooks = {};
  std::erase_if(j.bench.spec.mounts, [](const auto& mount) { return mount.source == "/none"; });
  j.bench.create();
  CHECK(j.members() == Ids{"c1", "c2"});
}

TEST_CASE("join: what cannot be undone just then is undone by delete --force", "[runtime][root]") {
  Joining j;
  // Beside the hook, since that must end; longer than anybody waits for the VM's lock.
  const std::string folder = runtime::VmPaths(j.vm_id).directory;
  j.bench.spec.hooks.create_runtime = {
      script_hook(j.bench, "flock " + folder + " sleep 12 <&- >&- 2>&- & sleep 0.5; exit 7")};
  CHECK_THAT(failure_text([&] { j.bench.create(); }), ContainsSubstring("createRuntime"));
  CHECK(j.bench.runtime().state("c2").status == "stopped");
  CHECK(j.members() == Ids{"c1", "c2"});
  j.remove("c2");
  j.check_only_the_first();
}

TEST_CASE("join: a container of the same name, of another root, is not taken for the first",
          "[runtime][root]") {
  Joining j;
  j.bench.id = "c1";
  runtime::Runtime other(j.bench.path("other"), j.bench.config, j.bench.paths, [&](const auto&) {
    return std::make_unique<FakeHypervisor>(j.bench.machine);
  });
  CHECK_THAT(failure_text([&] { other.create(j.bench.request()); }),
             ContainsSubstring("container with given ID already exists in it"));
  CHECK(j.has_files_of("c1"));
  j.check_only_the_first();
}

TEST_CASE("join: not the network of one that has ended", "[runtime][root]") {
  Joining j;
  const pid_t shim = j.pid_of("c1");
  ::kill(shim, SIGKILL);
  CHECK_THAT(failure_text([&] { j.bench.create(); }),
             ContainsSubstring("/proc/" + std::to_string(shim) + "/ns/net"));
  CHECK(j.members() == Ids{"c1"});
}

TEST_CASE("join: from a mount namespace whose mounts do not reach the VM is refused",
          "[runtime][root]") {
  Joining j;
  const UniqueFd copy = copy_mount_namespace(MS_PRIVATE);
  in_mount_namespace(copy.get(), [&] {
    CHECK_THAT(failure_text([&] { j.bench.create(); }),
               ContainsSubstring("is mounted in another mount namespace than husk's"));
  });
  j.check_only_the_first();
}
