// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/shim_plan.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace husk;
using namespace husk::runtime;
using Kind = HostRootPlan::Kind;

namespace {

void add(oci::Spec& spec, const std::string& type, const std::string& destination,
         std::vector<std::string> options = {}) {
  oci::Mount mount;
  mount.type = type;
  mount.destination = destination;
  mount.options = std::move(options);
  spec.mounts.push_back(mount);
}

HostRootPlan root_of(const oci::Spec& spec) {
  const ShimPlan plan = plan_shim("c1", spec, VmPaths("0000cafe"), false);
  return std::get<NewShim>(plan.place).root;
}

}  // namespace

TEST_CASE("plan_host_namespaces: given paths are joined, others made", "[runtime]") {
  oci::Spec spec;
  spec.linux_.namespaces = {{.type = "network", .path = "/run/netns/x"},
                            {.type = "ipc", .path = {}},
                            {.type = "uts", .path = ""},
                            {.type = "pid", .path = "/proc/7/ns/pid"}};
  const HostNamespaces plan = plan_host_namespaces(spec);
  CHECK(plan.network == "/run/netns/x");
  CHECK_FALSE(plan.new_network);
  CHECK(plan.new_ipc);
  CHECK(plan.new_uts);
}

TEST_CASE("plan_shim: the host shows the container's binds and its own proc", "[runtime]") {
  oci::Spec spec;
  add(spec, "proc", "/proc");
  add(spec, "sysfs", "/sys");
  add(spec, "bind", "/data", {"rbind", "ro"});
  const HostRootPlan root = root_of(spec);
  CHECK(root.rootfs == "/run/husk-vm/0000cafe/shared/c1/rootfs");
  REQUIRE(root.mounts.size() == 2);
  CHECK(root.mounts[0].kind == Kind::proc);
  CHECK(root.mounts[0].destination == "/proc");
  CHECK(root.mounts[1].kind == Kind::bind);
  CHECK(root.mounts[1].source == "/run/husk-vm/0000cafe/shared/c1/mounts/2");
  CHECK(root.mounts[1].destination == "/data");
  CHECK(root.mounts[1].read_only);
  CHECK_FALSE(root.mounts[1].tree_read_only);
  CHECK_FALSE(root.mounts[0].read_only);
}

TEST_CASE("plan_shim: rro is for the mounts below too, rw for none", "[runtime]") {
  oci::Spec spec;
  add(spec, "bind", "/rro", {"rbind", "rro"});
  add(spec, "bind", "/rw", {"rbind", "ro", "rw"});
  const HostRootPlan root = root_of(spec);
  CHECK(root.mounts.at(0).tree_read_only);
  CHECK_FALSE(root.mounts.at(1).read_only);
  CHECK_FALSE(root.mounts.at(1).tree_read_only);
}

TEST_CASE("plan_shim: what lies in a mount that only the guest has is not shown", "[runtime]") {
  oci::Spec spec;
  add(spec, "tmpfs", "/dev");
  add(spec, "bind", "/dev/shm", {"bind"});
  add(spec, "bind", "/device", {"bind"});
  add(spec, "bind", "/dev/../dev/shm2", {"bind"});
  const HostRootPlan root = root_of(spec);
  REQUIRE(root.mounts.size() == 1);
  CHECK(root.mounts[0].destination == "/device");
}

TEST_CASE("plan_shim: looks like the container's command, with its host name", "[runtime]") {
  oci::Spec spec;
  spec.hostname = "box";
  CHECK(plan_shim("c1", spec, VmPaths("0000cafe"), false).arguments.empty());
  spec.process.emplace();
  spec.process->args = {"nginx", "-g", "daemon off;"};
  const ShimPlan plan = plan_shim("c1", spec, VmPaths("0000cafe"), true);
  CHECK(plan.arguments == spec.process->args);
  CHECK(std::get<NewShim>(plan.place).hostname == "box");
  CHECK(plan.end_with_parent);
}
