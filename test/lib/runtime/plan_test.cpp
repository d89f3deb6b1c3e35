// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/plan.hpp"
#include "lib/runtime/plan/vm_paths.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "lib/oci/example.hpp"
#include "lib/runtime/plan/host_facts.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;

namespace {
using Options = std::vector<std::string>;

oci::Bundle make_bundle() {
  oci::Bundle bundle{
      .directory = "/b", .rootfs = "/b/rootfs", .spec = oci::example_spec(false, 0, 0)};
  bundle.spec.process->terminal = false;
  bundle.spec.mounts.push_back({.destination = "/data",
                                .type = "bind",
                                .source = "/host/data",
                                .options = {"rbind", "ro"},
                                .uid_mappings = {},
                                .gid_mappings = {}});
  bundle.spec.mounts.push_back({.destination = "/rel",
                                .type = "none",
                                .source = "sub/../dir",
                                .options = {"bind"},
                                .uid_mappings = {},
                                .gid_mappings = {}});
  return bundle;
}
}  // namespace

TEST_CASE("plan_guest: paths are the guest's, what is the host's is gone", "[runtime]") {
  oci::Bundle bundle = make_bundle();
  bundle.spec.hooks.prestart.push_back({.path = "/h", .args = {}, .env = {}, .timeout = {}});
  bundle.spec.hooks.start_container = {
      {.path = "/s", .args = {"s"}, .env = {}, .timeout = 3},
      {.path = "/t", .args = {}, .env = std::vector<std::string>{"A=b"}, .timeout = {}}};
  bundle.spec.annotations["secret"] = "value";
  bundle.spec.linux_.cgroups_path = "/docker/x";
  bundle.spec.process->apparmor_profile = "docker-default";
  const GuestPlan plan = plan_guest("c1", bundle);
  CHECK(plan.spec.root->path == "/run/husk/shared/c1/rootfs");
  REQUIRE(plan.binds.size() == 2);
  const std::size_t n = bundle.spec.mounts.size() - 2;
  CHECK(plan.binds[0].source == "/host/data");
  CHECK(plan.binds[0].number == n);
  CHECK(plan.binds[1].source == "/b/dir");
  CHECK(plan.spec.mounts[n].source == "/run/husk/shared/c1/mounts/" + std::to_string(n));
  CHECK(plan.spec.mounts[n].options == bundle.spec.mounts[n].options);
  // The startContainer hooks are the container's, and husk does not wait for the guest without end.
  oci::Hooks kept;
  kept.start_container = bundle.spec.hooks.start_container;
  kept.start_container[1].timeout = 60;
  CHECK(plan.spec.hooks == kept);
  CHECK(plan.spec.annotations.empty());
  CHECK(plan.spec.linux_.cgroups_path.empty());
  CHECK_FALSE(plan.spec.process->apparmor_profile);
  std::vector<std::string> namespaces;
  for (const oci::Namespace& ns : plan.spec.linux_.namespaces) namespaces.push_back(ns.type);
  CHECK(namespaces == std::vector<std::string>{"pid", "ipc", "uts", "mount"});  // no network
  CHECK(plan.spec.process->args == bundle.spec.process->args);
}

TEST_CASE("plan_guest: binds are restricted as runc does it", "[runtime]") {
  oci::Bundle bundle = make_bundle();
  const auto planned = [&](const std::vector<std::string>& options) {
    bundle.spec.mounts.back().options = options;
    return plan_guest("c1", bundle).binds.back();
  };
  CHECK_FALSE(planned({"bind"}).recursive);
  CHECK(planned({"rbind", "bind"}).recursive);
  CHECK(planned({"bind", "rw", "ro"}).read_only);
  CHECK_FALSE(planned({"bind", "ro", "rw"}).read_only);
  CHECK_FALSE(planned({"rbind", "ro"}).tree_read_only);
  CHECK(planned({"rbind", "rrw", "rro"}).tree_read_only == true);
  CHECK(planned({"rbind", "rro", "rrw"}).tree_read_only == false);
}

TEST_CASE("plan_guest: a bind is private unless its options ask for more", "[runtime]") {
  oci::Bundle bundle = make_bundle();
  const auto follows = [&](const std::vector<std::string>& options) {
    bundle.spec.mounts.back().options = options;
    return plan_guest("c1", bundle).binds.back().follow_host;
  };
  CHECK_FALSE(follows({"rbind"}));
  for (const char* option : {"private", "rprivate", "unbindable", "runbindable"})
    CHECK_FALSE(follows({"rbind", "rslave", option}));
  for (const char* option : {"slave", "rslave", "shared", "rshared"})
    CHECK(follows({"rbind", "rprivate", option}));
}

TEST_CASE("with_guest_cgroups: the guest's cgroups are mounted where the host's would be",
          "[runtime]") {
  const auto bind = [](const char* source, const char* destination, Options options) {
    oci::Mount mount;
    mount.destination = destination;
    mount.type = "bind";
    mount.source = source;
    mount.options = std::move(options);
    return mount;
  };
  oci::Spec spec;
  spec.mounts = {bind("/sys/fs/cgroup", "/sys/fs/cgroup/", {"rbind", "ro"}),
                 bind("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/systemd", {"bind", "private"}),
                 bind("/sys/fs/cgroup", "/host/sys/fs/cgroup", {"rbind", "ro"}),
                 bind("/etc/cgroup", "/sys/fs/cgroup/x", {"bind"})};
  const oci::Spec planned = with_guest_cgroups(spec);
  REQUIRE(planned.mounts.size() == 3);
  CHECK(planned.mounts[0].type == "cgroup");
  CHECK(planned.mounts[0].options == Options{"nosuid", "noexec", "nodev", "ro"});
  CHECK(planned.mounts[1].destination == "/host/sys/fs/cgroup");
  CHECK(planned.mounts[1].type == "bind");
  CHECK(planned.mounts[2].source == "/etc/cgroup");
  spec.mounts[0].options = {"rbind"};
  CHECK(with_guest_cgroups(spec).mounts[0].options.back() == "rw");
}

TEST_CASE("leave_writable_below: ro is the bind's own mount alone, rro is for all", "[runtime]") {
  oci::Bundle bundle = make_bundle();
  const auto options_left = [&](const std::vector<std::string>& options,
                                const std::vector<std::size_t>& with_mounts_below,
                                const std::vector<guestcomm::SharedTmpfs>& shared = {}) {
    bundle.spec.mounts.back().options = options;
    GuestPlan plan = plan_guest("c1", bundle);
    use_shared_tmpfs(plan, shared);
    leave_writable_below(plan, with_mounts_below);
    return plan.spec.mounts.back().options;
  };
  const std::size_t last = bundle.spec.mounts.size() - 1;
  CHECK(options_left({"rbind", "ro"}, {last}) == Options{"rbind"});
  CHECK(options_left({"rbind", "ro"}, {last - 1}) == Options{"rbind", "ro"});
  CHECK(options_left({"rbind", "ro", "rro"}, {last}) == Options{"rbind", "ro", "rro"});
  CHECK(options_left({"rbind", "rw"}, {last}) == Options{"rbind", "rw"});
  // The host keeps nothing read-only of what is the guest's.
  CHECK(options_left({"rbind", "ro"}, {last}, {{.mount = last}}) == Options{"rbind", "ro"});
}

TEST_CASE("carry_restrictions: as the host's mount has them, unless the bind asks for the opposite",
          "[runtime]") {
  oci::Bundle bundle = make_bundle();
  const std::size_t last = bundle.spec.mounts.size() - 1;
  const auto options_with = [&](const std::vector<std::string>& options,
                                const std::vector<std::string>& restrictions) {
    bundle.spec.mounts.back().options = options;
    GuestPlan plan = plan_guest("c1", bundle);
    carry_restrictions(plan, {{last, restrictions}});
    return plan.spec.mounts.back().options;
  };
  CHECK(options_with({"rbind"}, {}) == Options{"rbind"});
  CHECK(options_with({"rbind"}, {"nosuid", "nodev", "noexec"}) ==
        Options{"rbind", "nosuid", "nodev", "noexec"});
  CHECK(options_with({"rbind", "exec", "nodev"}, {"nosuid", "nodev", "noexec"}) ==
        Options{"rbind", "exec", "nodev", "nosuid"});
}

TEST_CASE("plan_guest: what cannot be is refused by name", "[runtime]") {
  oci::Bundle bundle = make_bundle();
  SECTION("the host's network") {
    std::erase_if(bundle.spec.linux_.namespaces,
                  [](const auto& ns) { return ns.type == "network"; });
    CHECK_THROWS_WITH(plan_guest("c1", bundle), ContainsSubstring("host's network namespace"));
  }
  SECTION("a read-only root without a /dev of its own") {
    bundle.spec.root->readonly = true;
    CHECK_NOTHROW(plan_guest("c1", bundle));
    std::erase_if(bundle.spec.mounts,
                  [](const auto& mount) { return mount.destination == "/dev"; });
    CHECK_THROWS_WITH(plan_guest("c1", bundle),
                      ContainsSubstring("root.readonly: needs a mount on /dev"));
  }
  SECTION("a bind without a source") {
    bundle.spec.mounts.back().source.reset();
    CHECK_THROWS_WITH(plan_guest("c1", bundle), ContainsSubstring("].source"));
  }
}

TEST_CASE("plan_vm: the domain's name tells the container and is unique", "[runtime]") {
  HostFacts facts;
  facts.vm_id = "deadbeef";
  const auto vm = plan_vm_config("container 0123456789abcdef", Config{}, facts, {});
  CHECK(vm.name == "husk-deadbeef");
  CHECK(vm.name == vm_name("deadbeef"));  // by which delete finds it again
}

TEST_CASE("plan_vm: the VM has the shape that was planned", "[runtime]") {
  const hypervisor::VmShape shape{.vcpus = 3, .memory_mib = 777, .memory_device = {}};
  HostFacts facts;
  facts.accelerator = hypervisor::Accelerator::kvm;
  const auto vm = plan_vm_config("container c1", Config{}, facts, shape);
  CHECK(vm.shape == shape);
  CHECK(vm.accelerator == hypervisor::Accelerator::kvm);
}

TEST_CASE("plan_vm: an emulated CPU's guest is told how fast its time stamps count", "[runtime]") {
  HostFacts facts;
  facts.accelerator = hypervisor::Accelerator::tcg;
  facts.tsc_khz = 2100000;
  const auto vm = plan_vm_config("container c1", Config{}, facts, {});
  CHECK(vm.kernel_arguments.find(" tsc_early_khz=2100000 ") != std::string::npos);
}

TEST_CASE("plan_kernel_arguments: the machine's come first, the administrator's last",
          "[runtime]") {
  Config config;
  config.kernel_arguments = "extra=1";
  const std::string whole = plan_kernel_arguments(config, "console=x");
  CHECK(whole.starts_with("console=x "));
  CHECK_THAT(whole, ContainsSubstring(" quiet loglevel=3 panic=-1 "));
  CHECK(whole.ends_with(" extra=1"));
}

TEST_CASE("plan_vsock_arguments: the agent is told whom to call, and whom not to answer",
          "[runtime]") {
  CHECK(plan_vsock_arguments(99, true) == "husk.announce=99 husk.privileged_ports");
  CHECK(plan_vsock_arguments(99, false) == "husk.announce=99");
}
