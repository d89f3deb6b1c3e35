// SPDX-License-Identifier: Apache-2.0
// The VM of a Kubernetes pod, from its first container to its last.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/namespace_id.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/vm/vm_directory.hpp"
#include "lib/runtime/vm/vm_record.hpp"
#include "test/lib/runtime/husk_bench.hpp"

using namespace husk;
using namespace husk::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

using Nothing = std::vector<std::string>;
using Ids = std::vector<std::string>;

/// A network namespace in a file, as CRI-O's pinns makes it.
class PinnedNetwork {
 public:
  explicit PinnedNetwork(fs::path file) : file_(std::move(file)) {
    std::ofstream(file_).put('\n');
    std::thread([&] {
      check_sys(::unshare(CLONE_NEWNET), "unshare");
      check_sys(::mount("/proc/thread-self/ns/net", file_.c_str(), nullptr, MS_BIND, nullptr),
                "bind the namespace");
    }).join();
  }
  PinnedNetwork(const PinnedNetwork&) = delete;
  PinnedNetwork& operator=(const PinnedNetwork&) = delete;
  ~PinnedNetwork() { remove(); }
  const fs::path& file() const noexcept { return file_; }
  void remove() noexcept {
    ::umount2(file_.c_str(), MNT_DETACH);
    ::unlink(file_.c_str());
  }

 private:
  fs::path file_;
};

/// The containers c1, c2, ... of a pod of CRI-O's, which has no sandbox container.
struct CrioPod {
  CrioPod() { set_annotations(sandbox); }
  ~CrioPod() {
    for (const char* id : {"c1", "c2", "c3"}) remove(id);
  }
  /// As containers of a pod of containerd's, whose sandbox is c1.
  void annotate_as_containerd(const std::string& type) {
    bench.spec.annotations = {{"io.kubernetes.cri.container-type", type},
                              {"io.kubernetes.cri.sandbox-id", "c1"}};
  }
  void set_annotations(const std::string& name) {
    bench.spec.annotations = {{"io.container.manager", "cri-o"},
                              {"io.kubernetes.cri-o.ContainerType", "container"},
                              {"io.kubernetes.cri-o.SandboxID", name}};
  }
  runtime::CreateRequest prepare(const std::string& id) { return prepare(id, network); }
  runtime::CreateRequest prepare(const std::string& id, const PinnedNetwork& net) {
    bench.id = id;
    // Not below one parent, which would stay: its maker finds the others in it.
    bench.spec.linux_.cgroups_path = "/" + sandbox + "-" + id;
    for (oci::Namespace& ns : bench.spec.linux_.namespaces)
      if (ns.type == "network") ns.path = net.file().string();
    return bench.request();
  }
  void create(const std::string& id, const PinnedNetwork& net) {
    bench.runtime().create(prepare(id, net));
  }
  void create(const std::string& id) { create(id, network); }
  void end(const std::string& id) {
    const pid_t shim = bench.runtime().state(id).pid;
    ::kill(shim, SIGKILL);
    CHECK(stops(id));
  }
  bool stops(const std::string& id) {
    const Deadline deadline(10s);
    while (bench.runtime().state(id).status != "stopped" && !deadline.passed())
      std::this_thread::sleep_for(10ms);
    return bench.runtime().state(id).status == "stopped";
  }
  void remove(const std::string& id) { bench.runtime().remove(id, true); }
  std::string vm_of(const std::string& id) {
    return runtime::StateStore(bench.path("root")).load(id).vm_id;
  }
  Ids members(const std::string& vm) const {
    Ids ids;
    for (const runtime::VmMember& member : runtime::load_vm(vm).members) ids.push_back(member.id);
    return ids;
  }
  bool vm_runs(std::size_t number = 0) const {
    return identify_process(bench.machine.vms.at(number)).has_value();
  }
  bool vm_ends(std::size_t number = 0) const {
    const Deadline deadline(10s);
    while (vm_runs(number) && !deadline.passed()) std::this_thread::sleep_for(20ms);
    return !vm_runs(number);
  }

  HuskBench bench;
  PinnedNetwork network{bench.path("netns")};
  std::string sandbox = fs::path(bench.spec.linux_.cgroups_path).parent_path().filename().string();
};

}  // namespace

TEST_CASE("pod: its VM goes on between containers of which none runs", "[runtime][root]") {
  CrioPod pod;
  pod.create("c1");
  const std::string vm = pod.vm_of("c1");
  CHECK(runtime::load_vm(vm).pod.value().sandbox == pod.sandbox);
  pod.end("c1");
  std::this_thread::sleep_for(1500ms);  // a look of the keeper's
  CHECK(pod.vm_runs());
  pod.create("c2");
  CHECK(pod.vm_of("c2") == vm);
  CHECK(pod.bench.machine.vms.size() == 1);
  pod.remove("c1");
  CHECK(pod.members(vm) == Ids{"c2"});
  CHECK(pod.vm_runs());
  pod.end("c2");
  pod.create("c3");
  pod.remove("c2");
  CHECK(pod.vm_runs());
  pod.remove("c3");  // the last on record
  CHECK_FALSE(pod.vm_runs());
  CHECK_FALSE(fs::exists(runtime::VmPaths(vm).directory));
  pod.network.remove();
  pod.bench.id = "c3";
  CHECK(pod.bench.left() == Nothing{});
}

TEST_CASE("pod: its VM ends with its network's file once none of its containers runs",
          "[runtime][root]") {
  CrioPod pod;
  pod.create("c1");
  pod.create("c2");
  pod.end("c1");
  pod.network.remove();
  std::this_thread::sleep_for(1500ms);
  CHECK(pod.vm_runs());  // c2 runs
  SECTION("by the keeper") {
    pod.end("c2");
    CHECK(pod.vm_ends());
  }
  SECTION("by delete") {
    pod.remove("c2");
    CHECK_FALSE(pod.vm_runs());
  }
  pod.remove("c1");
  pod.remove("c2");
  CHECK(pod.bench.left() == Nothing{});
}

TEST_CASE("pod: the VM is in the pod's cgroup, which goes with the VM where husk made it",
          "[runtime][root]") {
  CrioPod pod;
  pod.create("c1");
  const std::string vm = pod.vm_of("c1");
  const std::vector<fs::path> cgroups = runtime::load_vm(vm).cgroups;
  REQUIRE_FALSE(cgroups.empty());
  const pid_t process = pod.bench.machine.vms.at(0);
  const auto has_vm = [&](const std::string& id) {
    const auto there = runtime::HostCgroup(pod.bench.runtime().state(id).pid).processes();
    return std::ranges::find(there, process) != there.end();
  };
  CHECK_FALSE(has_vm("c1"));
  const std::string line = "/crio-" + pod.sandbox + "\n";
  const std::string text = read_file("/proc/" + std::to_string(process) + "/cgroup", 65536);
  CHECK_THAT(text, ContainsSubstring(line));
  pod.create("c2");
  pod.remove("c1");  // the VM stays where it is
  CHECK_FALSE(has_vm("c2"));
  pod.remove("c2");
  for (const fs::path& cgroup : cgroups) CHECK_FALSE(fs::exists(cgroup));
}

TEST_CASE("pod: a VM that died is no obstacle for the pod's next container", "[runtime][root]") {
  CrioPod pod;
  pod.create("c1");
  ::kill(pod.bench.machine.vms.at(0), SIGKILL);
  CHECK(pod.vm_ends());
  const std::vector<fs::path> cgroups = runtime::load_vm(pod.vm_of("c1")).cgroups;
  REQUIRE_FALSE(cgroups.empty());
  pod.create("c2");
  CHECK(pod.vm_of("c2") != pod.vm_of("c1"));
  for (const char* id : {"c1", "c2"}) {
    CHECK(fs::exists(cgroups.front()));  // the second VM is in the cgroup of the first
    pod.remove(id);
    CHECK(pod.vm_runs(1) == (id == std::string("c1")));
  }
  for (const fs::path& cgroup : cgroups) CHECK_FALSE(fs::exists(cgroup));
  pod.network.remove();
  CHECK(pod.bench.left() == Nothing{});
}

TEST_CASE("pod: the VM stays with its sandbox, and ends when that is deleted", "[runtime][root]") {
  CrioPod pod;
  pod.annotate_as_containerd("sandbox");
  pod.create("c1");
  pod.annotate_as_containerd("container");
  pod.create("c2");
  pod.create("c3");
  const std::string vm = pod.vm_of("c1");
  CHECK(pod.members(vm) == Ids{"c1", "c2", "c3"});
  const auto has_vm = [&](const std::string& id) {
    const auto there = runtime::HostCgroup(pod.bench.runtime().state(id).pid).processes();
    return std::ranges::find(there, pod.bench.machine.vms.at(0)) != there.end();
  };
  CHECK(has_vm("c1"));
  pod.end("c1");  // the others go on, as with runc, until it is deleted
  pod.remove("c2");
  CHECK(pod.vm_runs());
  CHECK_FALSE(has_vm("c3"));  // whose limit would end the pod
  pod.remove("c1");
  CHECK_FALSE(pod.vm_runs());
  CHECK(pod.stops("c3"));
  pod.remove("c3");
  pod.network.remove();
  pod.bench.id = "c3";
  CHECK(pod.bench.left() == Nothing{});
}

TEST_CASE(
    "pod: a VM that nobody reaches any more is no obstacle for the pod's next container but one",
    "[runtime][root]") {
  CrioPod pod;
  pod.create("c1");
  const fs::path socket = runtime::VmPaths(pod.vm_of("c1")).vsock_device() / "vsock.sock";
  REQUIRE(fs::remove(socket));  // as is of no use where the keeper and its device were killed
  SECTION("none of its containers runs") {
    pod.end("c1");
    CHECK_THAT(failure_text([&] { pod.create("c2"); }), ContainsSubstring("vsock socket"));
    CHECK(pod.vm_ends());
    pod.create("c2");
    CHECK(pod.vm_runs(1));
  }
  SECTION("a container runs") {
    CHECK_THAT(failure_text([&] { pod.create("c2"); }), ContainsSubstring("vsock socket"));
    CHECK(pod.bench.runtime().state("c1").status == "created");
    CHECK(pod.vm_runs());
  }
  for (const char* id : {"c1", "c2"}) pod.remove(id);
  pod.network.remove();
  CHECK(pod.bench.left() == Nothing{});
}

TEST_CASE("pod: another pod's annotations do not lead into its VM", "[runtime][root]") {
  CrioPod pod;
  pod.create("c1");
  // By the other's network, which nobody but the caller could have given.
  pod.set_annotations("T");
  CHECK_THAT(failure_text([&] { pod.create("c2"); }), ContainsSubstring("which is not that pod's"));
  // By its id, with a network of the container's own.
  pod.set_annotations(pod.sandbox);
  const PinnedNetwork other(pod.bench.path("other"));
  CHECK_THAT(failure_text([&] { pod.create("c2", other); }),
             ContainsSubstring("where the container's network namespace is not"));
  CHECK(pod.bench.runtime().state("c1").status == "created");
}

TEST_CASE("pod: two of its containers that are created at once are in one VM", "[runtime][root]") {
  CrioPod pod;
  runtime::CreateRequest first = pod.prepare("c1");
  fs::copy(first.bundle, pod.bench.path("bundle of c1"), fs::copy_options::recursive);
  first.bundle = pod.bench.path("bundle of c1");
  const runtime::CreateRequest second = pod.prepare("c2");
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      pod.bench.runtime().create(first);
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  pod.bench.runtime().create(second);
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(pod.vm_of("c1") == pod.vm_of("c2"));
  CHECK(pod.members(pod.vm_of("c1")).size() == 2);
}

TEST_CASE("pod: a husk that hangs holds up no container of a pod that has its sandbox",
          "[runtime][root]") {
  CrioPod pod;
  pod.annotate_as_containerd("sandbox");
  pod.create("c1");
  pod.annotate_as_containerd("container");
  const DirectoryLock hanging = runtime::StateStore(pod.bench.path("root")).lock_root();
  const auto begin = std::chrono::steady_clock::now();
  pod.create("c2");
  CHECK(std::chrono::steady_clock::now() - begin < 20s);
  CHECK(pod.members(pod.vm_of("c1")) == Ids{"c1", "c2"});
}
