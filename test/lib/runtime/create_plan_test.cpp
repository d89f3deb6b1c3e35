// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/create_plan.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/oci/example.hpp"
#include "lib/runtime/plan/new_vm_plan.hpp"
#include "lib/runtime/plan/vm_shape.hpp"
#include "lib/runtime/vm/spare_key.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

/// A request with nothing wrong, on a host that has what it takes.
struct Planning {
  Planning() {
    bundle.spec.process->terminal = false;
    bundle.spec.process->args = {"/bin/true", "x"};
    bundle.spec.hostname = "box";
    facts.memory_mib = 4096;
    facts.vm_user = hypervisor::VmUser{.uid = 64055};
    facts.virtiofsd = "/usr/libexec/virtiofsd";
    facts.owner = "somebody";
    facts.now = "2026-11-25T00:00:00.000000000Z";
    facts.vm_id = "deadbeef";
    facts.secret = std::string(32, '5');
  }
  CreatePlan plan() const { return plan_create(request, bundle, config, paths, facts); }

  /// Throws of that kind, with a text that contains `text`.
  void refuses(Errc code, const std::string& text) const {
    CAPTURE(text);
    try {
      plan();
      FAIL("was planned");
    } catch (const Error& e) {
      CHECK_THAT(e.what(), ContainsSubstring(text));
      CHECK(e.code() == code);
    }
  }

  void set_namespace(const std::string& type, const std::string& path) {
    for (oci::Namespace& ns : bundle.spec.linux_.namespaces) {
      if (ns.type == type) ns.path = path;
    }
  }
  void add_bind(const std::optional<std::string>& source) {
    oci::Mount mount;
    mount.destination = "/data";
    mount.source = source;
    mount.options = {"bind"};
    bundle.spec.mounts.push_back(mount);
  }

  CreateRequest request{.id = "c1", .bundle = "/b", .pid_file = {}, .streams = {}};
  oci::Bundle bundle{
      .directory = "/b", .rootfs = "/b/rootfs", .spec = oci::example_spec(false, 0, 0)};
  Config config;
  InstallPaths paths{.shim = "/x/husk-shim",
                     .kernel = "/x/vmlinuz",
                     .initrd = "/x/initrd",
                     .modules = "/x/modules"};
  HostFacts facts;
};

oci::Hook hook(const std::string& path) {
  return {.path = path, .args = {}, .env = {}, .timeout = {}};
}

}  // namespace

TEST_CASE("plan_create: a startContainer hook without env has the container's environment",
          "[runtime]") {
  Planning p;
  p.bundle.spec.process->env = {"A=container"};
  p.bundle.spec.hooks.start_container = {hook("/none"), hook("/empty"), hook("/own")};
  p.bundle.spec.hooks.start_container[1].env.emplace();
  p.bundle.spec.hooks.start_container[2].env = {"B=own"};
  const auto hooks = p.plan().guest.spec.hooks.start_container;
  REQUIRE(hooks.size() == 3);
  using Strings = std::vector<std::string>;
  CHECK(hooks[0].env == Strings{"A=container"});
  CHECK(hooks[1].env == Strings{});
  CHECK(hooks[2].env == Strings{"B=own"});
}

TEST_CASE("plan_create: the record's first form tells all but what is to be made", "[runtime]") {
  Planning p;
  p.bundle.spec.annotations = {{"a", "b"}};
  p.bundle.spec.hooks.poststart = {hook("/poststart")};
  p.bundle.spec.hooks.poststop = {hook("/poststop")};
  p.bundle.spec.hooks.prestart = {hook("/prestart")};
  p.set_namespace("network", "/run/netns/x");
  const ContainerRecord record = p.plan().record;
  CHECK(record.id == "c1");
  CHECK(record.oci_version == p.bundle.spec.oci_version);
  CHECK(record.created == p.facts.now);
  CHECK(record.owner == "somebody");
  CHECK(record.bundle == "/b");
  CHECK(record.rootfs == "/b/rootfs");
  CHECK(record.annotations == p.bundle.spec.annotations);
  CHECK(record.vm_id == "deadbeef");
  CHECK(record.hooks.poststart == p.bundle.spec.hooks.poststart);
  CHECK(record.hooks.poststop == p.bundle.spec.hooks.poststop);
  CHECK(record.hooks.prestart.empty());
  CHECK(record.cgroups.empty());
  CHECK_FALSE(record.shim);
}

TEST_CASE("plan_create: hooks go to the command that runs them", "[runtime]") {
  Planning p;
  p.bundle.spec.hooks.prestart = {hook("/prestart")};
  p.bundle.spec.hooks.create_runtime = {hook("/create")};
  p.bundle.spec.hooks.create_container = {hook("/container")};
  p.bundle.spec.hooks.poststart = {hook("/poststart")};
  const CreatePlan plan = p.plan();
  CHECK(plan.hooks.prestart == p.bundle.spec.hooks.prestart);
  CHECK(plan.hooks.create_runtime == p.bundle.spec.hooks.create_runtime);
  CHECK(plan.hooks.create_container == p.bundle.spec.hooks.create_container);
  CHECK(plan.hooks.poststart.empty());
  CHECK(plan.guest.spec.hooks == oci::Hooks{});
}

TEST_CASE("plan_create: Cloud Hypervisor is its own vsock device, has no firmware, and needs KVM",
          "[runtime]") {
  Planning p;
  p.config.uri = "ch:///system";
  p.facts.cloud_hypervisor = "/usr/bin/cloud-hypervisor";
  p.paths.ch = "/usr/libexec/husk/husk-ch";
  p.refuses(Errc::unsupported,
            "hypervisor.uri: Cloud Hypervisor needs /dev/kvm and a CPU with vmx or svm; use "
            "qemu:///system here");
  p.facts.accelerator = hypervisor::Accelerator::kvm;
  p.facts.has_vhost_vsock = GENERATE(false, true);
  const VmPlan plan = p.plan().new_vm.value();
  CHECK(plan.vsock_device == VsockDeviceIs::hypervisor);
  CHECK(plan.assets.firmware.empty());
  REQUIRE(plan.vm.go_between);
  CHECK(plan.vm.go_between->program == "/usr/libexec/husk/husk-ch");
  CHECK(plan.vm.go_between->hypervisor == "/usr/bin/cloud-hypervisor");
  p.config.uri = "qemu:///system";
  CHECK_FALSE(p.plan().new_vm.value().vm.go_between);
}

TEST_CASE("plan_create: the VM is what the configuration and the host say", "[runtime]") {
  Planning p;
  p.config.vcpus = 3;
  p.config.memory_mib = 777;
  p.config.kernel_arguments = "extra=1";
  p.facts.accelerator = hypervisor::Accelerator::kvm;
  const VmPlan plan = p.plan().new_vm.value();
  CHECK(plan.id == "deadbeef");
  CHECK(plan.secret == p.facts.secret);
  CHECK(plan.uri == p.config.uri);
  CHECK(plan.user.uid == 64055);
  CHECK(plan.vsock_device == VsockDeviceIs::program);
  CHECK(plan.files.program == "/usr/libexec/virtiofsd");
  CHECK(plan.files.directory == "/run/husk-vm/deadbeef/shared");
  CHECK(plan.vm.name == "husk-deadbeef");
  CHECK(plan.vm.accelerator == hypervisor::Accelerator::kvm);
  CHECK(size_of(plan.vm.shape) == VmSize{.memory_mib = 777, .vcpus = 3});
  CHECK(plan.vm.kernel_arguments.ends_with(" extra=1"));
  const std::string machine = hypervisor::driver_for(p.config.uri)
                                  .kernel_arguments(hypervisor::Accelerator::kvm, plan.vm.shape, 0);
  CHECK(plan.vm.kernel_arguments.starts_with(machine + " "));
}

TEST_CASE("plan_create: what the VM boots from is installed, or configured", "[runtime]") {
  Planning p;
  const BootAssets installed = p.plan().new_vm.value().assets;
  CHECK(installed.kernel == "/x/vmlinuz");
  CHECK(installed.initrd == "/x/initrd");
  CHECK(installed.firmware == hypervisor::driver_for(p.config.uri).firmware);
  CHECK(installed.modules == "/x/modules");
  p.config.kernel = "/k";
  CHECK(p.plan().new_vm.value().assets.modules.empty());
  p.config.modules = "/m";
  p.config.initrd = "/i";
  p.config.firmware = "/f";
  const BootAssets configured = p.plan().new_vm.value().assets;
  CHECK(configured.kernel == "/k");
  CHECK(configured.initrd == "/i");
  CHECK(configured.modules == "/m");
  CHECK(configured.firmware == "/f");
}

TEST_CASE("plan_create: the shim is the container on the host", "[runtime]") {
  Planning p;
  p.add_bind("/host/data");
  p.request.streams.detached = false;
  const CreatePlan plan = p.plan();
  CHECK(plan.shim_program == "/x/husk-shim");
  CHECK(plan.shim.arguments == p.bundle.spec.process->args);
  CHECK(plan.shim.end_with_parent);
  const auto& place = std::get<NewShim>(plan.shim.place);
  CHECK(place.hostname == "box");
  CHECK(place.namespaces.new_network);
  CHECK(place.root.rootfs == "/run/husk-vm/deadbeef/shared/c1/rootfs");
  const std::string bind =
      "/run/husk-vm/deadbeef/shared/c1/mounts/" + std::to_string(p.bundle.spec.mounts.size() - 1);
  CHECK(std::any_of(place.root.mounts.begin(), place.root.mounts.end(),
                    [&](const HostRootPlan::Mount& mount) { return mount.source == bind; }));
  p.request.streams.detached = true;
  CHECK_FALSE(p.plan().shim.end_with_parent);
}

TEST_CASE("plan_create: the guest's half fits the host's", "[runtime]") {
  Planning p;
  p.add_bind("data");
  const GuestPlan guest = p.plan().guest;
  REQUIRE(guest.binds.size() == 1);
  CHECK(guest.binds[0].source == "/b/data");
  CHECK(guest.binds[0].number == p.bundle.spec.mounts.size() - 1);
  CHECK(guest.spec.root->path == "/run/husk/shared/c1/rootfs");
}

TEST_CASE("plan_create: the cgroup is a path, or a unit where systemd runs", "[runtime]") {
  Planning p;
  CHECK(p.plan().cgroup.path == "/husk/c1");
  CHECK_FALSE(p.plan().cgroup.scope);
  p.bundle.spec.linux_.cgroups_path = "/docker/x";
  CHECK(p.plan().cgroup.path == "/docker/x");
  p.request.systemd_cgroup = true;
  p.facts.has_systemd = true;
  p.bundle.spec.linux_.cgroups_path = "user.slice:docker:x";
  const CgroupPlan cgroup = p.plan().cgroup;
  REQUIRE(cgroup.scope);
  CHECK(cgroup.scope->name == "docker-x.scope");
  CHECK(cgroup.path == "/user.slice/docker-x.scope");
  CHECK(cgroup.scope->description == "husk container c1 in VM deadbeef");
}

TEST_CASE("plan_create: what the caller and the administrator wait for is carried along",
          "[runtime]") {
  Planning p;
  p.config.boot_timeout = std::chrono::seconds(7);
  CHECK(p.plan().boot_timeout == std::chrono::seconds(7));
  CHECK_FALSE(p.plan().pid_file);
  p.request.pid_file = "/pids/c1";
  CHECK(p.plan().pid_file == fs::path("/pids/c1"));
}

TEST_CASE("plan_create: what cannot be in a VM is refused", "[runtime]") {
  Planning p;
  SECTION("a terminal for a caller that does not stay and gives no socket") {
    p.bundle.spec.process->terminal = true;
    p.refuses(Errc::invalid_argument, "without setting console socket");
  }
  SECTION("a console socket without a terminal") {
    p.request.streams.console_socket = "/socket";
    p.refuses(Errc::invalid_argument, "cannot use console socket");
  }
  SECTION("a console socket for a caller that stays") {
    p.bundle.spec.process->terminal = true;
    p.request.streams = {false, "/socket"};
    p.refuses(Errc::invalid_argument, "cannot use console socket");
  }
  SECTION("the host's network") {
    std::erase_if(p.bundle.spec.linux_.namespaces,
                  [](const oci::Namespace& ns) { return ns.type == "network"; });
    p.refuses(Errc::unsupported, "the host's network namespace cannot be used");
  }
  SECTION("a read-only root without a /dev") {
    p.bundle.spec.root->readonly = true;
    std::erase_if(p.bundle.spec.mounts,
                  [](const oci::Mount& mount) { return mount.destination == "/dev"; });
    p.refuses(Errc::unsupported, "root.readonly: needs a mount on /dev");
  }
  SECTION("a bind of nothing") {
    p.add_bind({});
    p.refuses(Errc::invalid_argument,
              "mounts[" + std::to_string(p.bundle.spec.mounts.size() - 1) + "].source: missing");
  }
  SECTION("a bind of an empty path") {
    p.add_bind("");
    p.refuses(Errc::invalid_argument, "].source: missing");
  }
}

TEST_CASE("plan_create: a cgroup that cannot be had is refused", "[runtime]") {
  Planning p;
  SECTION("outside of the hierarchy") {
    p.bundle.spec.linux_.cgroups_path = "/a/../../b";
    p.refuses(Errc::invalid_argument, "linux.cgroupsPath: contains \"..\"");
  }
  SECTION("the root") {
    p.bundle.spec.linux_.cgroups_path = "/";
    p.refuses(Errc::invalid_argument, "linux.cgroupsPath: is the root cgroup");
  }
  SECTION("a path for systemd") {
    p.request.systemd_cgroup = p.facts.has_systemd = true;
    p.bundle.spec.linux_.cgroups_path = "/docker/x";
    p.refuses(Errc::invalid_argument, "expected the form \"slice:prefix:name\"");
  }
  SECTION("a property of a systemd unit that is none") {
    p.request.systemd_cgroup = p.facts.has_systemd = true;
    p.bundle.spec.annotations["org.systemd.property.KillSignal"] = "nine";
    p.refuses(Errc::invalid_argument, "annotations[\"org.systemd.property.KillSignal\"]");
  }
  SECTION("systemd's, without systemd") {
    p.request.systemd_cgroup = true;
    p.refuses(Errc::unsupported,
              "systemd not running on this host, cannot use systemd cgroups manager");
  }
}

TEST_CASE("plan_create: systemd is not missed where it is not asked for", "[runtime]") {
  Planning p;
  p.facts.has_systemd = false;
  CHECK_NOTHROW(p.plan());
}

TEST_CASE("plan_create: more memory than the host has is refused, all of it is not", "[runtime]") {
  Planning p;
  p.config.memory_mib = 4096;
  CHECK_NOTHROW(p.plan());
  p.config.memory_mib = 4097;
  p.refuses(Errc::invalid_argument,
            "not enough memory for the VM: vm.memory_mib is 4097 MiB, this host has 4096 MiB");
}

TEST_CASE("plan_create: a container in another's network goes into its VM", "[runtime]") {
  Planning p;
  p.set_namespace("network", "/proc/77/ns/net");
  p.facts.network =
      NetworkFacts{.path = "/proc/77/ns/net", .is_the_hosts = false, .vm = "cafe0001", .tap = {}};
  p.facts.joined_vm = "cafe0001";
  p.config.memory_mib = 9999;  // for a VM of its own there would not be enough
  const CreatePlan plan = p.plan();
  CHECK_FALSE(plan.new_vm);
  CHECK(plan.record.vm_id == "cafe0001");
  p.request.systemd_cgroup = p.facts.has_systemd = true;
  CHECK(p.plan().cgroup.scope.value().description == "husk container c1 in VM cafe0001");
  const auto& shim = std::get<NewShim>(plan.shim.place);
  CHECK(shim.namespaces.network == "/proc/77/ns/net");
  CHECK(shim.root.rootfs == VmPaths("cafe0001").rootfs("c1"));
  p.facts.network->vm.clear();
  p.facts.joined_vm.clear();
  p.refuses(Errc::unsupported, "network namespace /proc/77/ns/net: is used by another container");
}

TEST_CASE("plan_create: the VM knows the namespace that the caller made", "[runtime]") {
  Planning p;
  CHECK_FALSE(p.plan().new_vm.value().network_namespace);
  p.set_namespace("network", "/run/netns/x");
  p.facts.network =
      NetworkFacts{.path = "/run/netns/x", .is_the_hosts = false, .vm = {}, .tap = {}};
  CHECK(p.plan().new_vm.value().network_namespace == "/run/netns/x");
}

TEST_CASE("plan_create: a VM is not larger than the cgroups above the container allow",
          "[runtime]") {
  Planning p;
  p.config.memory_mib = 512;
  const auto memory = [&](std::optional<std::uint64_t> limit) {
    p.facts.cgroup_memory_mib = limit;
    return p.plan().new_vm.value().vm.shape.memory_mib;
  };
  CHECK(memory({}) == 512);
  CHECK(memory(4096) == 512);
  CHECK(memory(608) == 512);  // with what QEMU and virtiofsd need beside it
  CHECK(memory(607) == 511);
  CHECK(memory(224) == 128);
  p.facts.cgroup_memory_mib = 223;
  p.refuses(
      Errc::invalid_argument,
      "not enough memory for the VM: a cgroup above linux.cgroupsPath is limited to 223 MiB, a "
      "VM needs 224 MiB");
  p.facts.joined_vm = "cafe0001";  // a member, whose VM is there
  CHECK_NOTHROW(p.plan());
}

TEST_CASE("plan_create: a pod that no container stands for has the VM by its network",
          "[runtime]") {
  Planning p;
  p.bundle.spec.linux_.cgroups_path = "/kubepods/pod7/crio-c1";
  p.set_namespace("network", "/run/netns/p");
  p.facts.network = NetworkFacts{.path = "/run/netns/p", .id = {4, 17}, .vm = {}, .tap = {}};
  p.facts.pod = PodFacts{.caller = PodFacts::Caller::crio, .sandbox = "S", .is_sandbox = false};
  p.facts.place = {.root = "/r", .network = NamespaceId{4, 17}};
  const CreatePlan plan = p.plan();
  CHECK(plan.new_vm.value().pod == VmPod{"/r", "S", NamespaceId{4, 17}});
  CHECK(plan.new_vm.value().vm.kernel_arguments.starts_with("husk.stay "));
  CHECK(plan.vm_cgroup.value().path == "/kubepods/pod7/crio-S");
  CHECK(plan.cgroup.path == "/kubepods/pod7/crio-c1");
  // systemd makes the containers' cgroups, and CRI-O the VM's.
  p.bundle.spec.linux_.cgroups_path = "a-pod7.slice:crio:c1";
  p.request.systemd_cgroup = p.facts.has_systemd = true;
  CHECK(p.plan().vm_cgroup.value().path == "/a.slice/a-pod7.slice/crio-S");
  CHECK_FALSE(p.plan().vm_cgroup.value().scope);
}

TEST_CASE("plan_create: a sandbox's VM is in the sandbox's cgroup, a member joins", "[runtime]") {
  Planning p;
  p.facts.pod =
      PodFacts{.caller = PodFacts::Caller::containerd, .sandbox = "c1", .is_sandbox = true};
  p.facts.place.root = "/r";
  const CreatePlan plan = p.plan();
  CHECK(plan.new_vm.value().pod == VmPod{.root = "/r", .sandbox = "c1"});
  CHECK_FALSE(plan.vm_cgroup);
  CHECK(plan.new_vm->vm.kernel_arguments.find("husk.stay") == std::string::npos);
  p.facts.pod->is_sandbox = false;
  p.facts.pod->sandbox = "S";
  p.refuses(Errc::not_found, "pod \"S\": the VM of its sandbox is gone");
  p.facts.joined_vm = p.facts.place.vm = "cafe0001";
  p.facts.place.vm_pod = VmPod{.root = "/r", .sandbox = "S"};
  CHECK(p.plan().record.vm_id == "cafe0001");
  p.facts.place.vm_pod->sandbox = "T";
  p.refuses(Errc::invalid_argument, "which is not that pod's");
}

TEST_CASE("plan_create: a pid file that cannot be written is refused", "[runtime]") {
  Planning p;
  p.facts.pid_file_place = PidFilePlace::no_folder;
  CHECK_NOTHROW(p.plan());  // none is asked for
  p.request.pid_file = "/none/pid";
  p.refuses(Errc::invalid_argument, "pid file /none/pid: its directory is missing or not writable");
  p.facts.pid_file_place = PidFilePlace::occupied;
  p.refuses(Errc::invalid_argument, "pid file /none/pid: is occupied by a directory");
  p.facts.pid_file_place = PidFilePlace::good;
  CHECK_NOTHROW(p.plan());
}

TEST_CASE("plan_spare: becomes the VM of a container that fits by resizing", "[runtime]") {
  Planning p;
  const auto fits = [&] {
    return can_become(plan_spare(p.config, p.paths, p.facts), p.plan().new_vm.value());
  };
  const VmPlan spare = plan_spare(p.config, p.paths, p.facts);
  CHECK(spare.vm.kernel_arguments.starts_with("husk.spare "));
  CHECK(spare.vm.title.find("c1") == std::string::npos);
  CHECK(spare.vm.network_cards.size() == 1);
  CHECK_FALSE(spare.network_namespace);
  CHECK(fits());

  oci::Resources& resources = p.bundle.spec.linux_.resources.emplace();
  resources.memory.emplace().limit = std::int64_t{2} << 30;
  CHECK(fits());
  resources.memory->limit = std::int64_t{64} << 20;  // less than what has booted
  CHECK_FALSE(fits());
  resources.memory.reset();

  p.facts.has_remote_files = true;  // served in another way
  CHECK_FALSE(fits());
  p.config.pool.pods = true;
  CHECK(fits());
  p.facts.has_remote_files = false;
  CHECK_FALSE(fits());
  p.facts.pod =
      PodFacts{.caller = PodFacts::Caller::containerd, .sandbox = "c1", .is_sandbox = true};
  CHECK(fits());
  p.facts.pod.reset();
  p.config.pool.pods = false;

  p.set_namespace("network", "/run/netns/p");
  p.facts.network = NetworkFacts{.path = "/run/netns/p", .id = {4, 17}, .vm = {}, .tap = {}};
  CHECK(fits());
  p.facts.pod = PodFacts{.caller = PodFacts::Caller::crio, .sandbox = "S", .is_sandbox = false};
  p.facts.place = {.root = "/r", .network = NamespaceId{4, 17}};
  CHECK_FALSE(fits());
}

TEST_CASE("spare_key: tells what a VM is made of, and not which VM", "[runtime]") {
  Planning p;
  const auto key = [&] { return spare_key(plan_spare(p.config, p.paths, p.facts)); };
  const std::string first = key();
  p.facts.vm_id = "0badcafe";
  p.facts.secret = std::string(32, '7');
  p.facts.tsc_khz = 2'000'001;
  CHECK(key() == first);
  p.facts.tsc_khz = 0;
  SECTION("memory") { p.config.memory_mib = 640; }
  SECTION("kernel") { p.paths.kernel = "/y/vmlinuz"; }
  SECTION("virtiofsd") { p.facts.virtiofsd = "/usr/lib/virtiofsd"; }
  SECTION("arguments") { p.config.kernel_arguments = "quiet"; }
  SECTION("sysctls of the host") { p.facts.sysctls["vm/max_map_count"] = "1"; }
  SECTION("KVM") { p.facts.accelerator = hypervisor::Accelerator::kvm; }
  SECTION("file that was replaced") {
    p.paths.kernel = "/proc/self/exe";
    const std::string before = key();
    p.paths.kernel = "/bin/sh";
    CHECK(key() != before);
  }
  CHECK(key() != first);
}
