// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/plan.hpp"

#include <algorithm>

#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/share.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/runtime/host/hooks.hpp"
#include "lib/runtime/plan/bind_options.hpp"
#include "lib/runtime/plan/host_facts.hpp"
#include "lib/runtime/plan/overlay_options.hpp"
#include "lib/runtime/plan/vm_paths.hpp"

namespace husk::runtime {
namespace {

std::string guest_directory(const std::string& id) {
  return std::string(guestcomm::share_mount_point) + "/" + id;
}

void check_possible(const oci::Spec& spec) {
  if (!has_namespace(spec, "network")) {
    throw Error(Errc::unsupported,
                "the host's network namespace cannot be used: a container in a VM has a network "
                "stack of its own");
  }
}

/// Host paths mean nothing in the guest: its namespaces are its own, and of the hooks only those of
/// startContainer are programs of the container's.
void strip_host_side(oci::Spec& spec) {
  spec.hooks = {.prestart = {},
                .create_runtime = {},
                .create_container = {},
                .start_container = limit_hooks(std::move(spec.hooks.start_container)),
                .poststart = {},
                .poststop = {}};
  spec.annotations.clear();
  std::erase_if(spec.linux_.namespaces,
                [](const oci::Namespace& ns) { return ns.type == "network"; });
  for (oci::Namespace& ns : spec.linux_.namespaces) ns.path.reset();
  if (spec.process) {
    spec.process->apparmor_profile.reset();
    spec.process->selinux_label.reset();
  }
  spec.linux_.mount_label.reset();
  spec.linux_.cgroups_path.clear();
}

/// In a root that is read-only for the guest the host makes mount points and the nodes of linux.devices, but no
/// default devices.
void check_readonly_root(const oci::Spec& spec) {
  if (!spec.root || !spec.root->readonly) return;
  const auto is_dev = [](const oci::Mount& mount) {
    return std::filesystem::path(mount.destination + "/").lexically_normal() == "/dev/";
  };
  if (std::any_of(spec.mounts.begin(), spec.mounts.end(), is_dev)) return;
  throw Error(
      Errc::unsupported,
      "root.readonly: needs a mount on /dev, since no default devices can be made in the root");
}

constexpr const char* cgroup_root = "/sys/fs/cgroup";

bool is_in_directory(const std::filesystem::path& path, const std::string& directory) {
  return (path.lexically_normal() / "").string().starts_with(directory + "/");
}

bool is_host_cgroup_bind(const oci::Mount& mount) {
  return is_bind(mount) && mount.source && is_in_directory(*mount.source, cgroup_root) &&
         is_in_directory(mount.destination, cgroup_root);
}

bool is_on_cgroup_root(const oci::Mount& mount) {
  return (std::filesystem::path(mount.destination).lexically_normal() / "") ==
         std::filesystem::path(cgroup_root) / "";
}

void make_cgroup_mount(oci::Mount& mount) {
  const bool read_only = plan_bind(0, {}, mount.options).read_only;
  mount.type = "cgroup";
  mount.source = "cgroup";
  mount.options = {"nosuid", "noexec", "nodev", read_only ? "ro" : "rw"};
}

}  // namespace

oci::Spec with_guest_cgroups(oci::Spec spec) {
  for (oci::Mount& mount : spec.mounts)
    if (is_host_cgroup_bind(mount) && is_on_cgroup_root(mount)) make_cgroup_mount(mount);
  std::erase_if(spec.mounts, is_host_cgroup_bind);
  return spec;
}

GuestPlan plan_guest(const std::string& id, const oci::Bundle& bundle) {
  check_possible(bundle.spec);
  check_readonly_root(bundle.spec);
  GuestPlan plan{.spec = bundle.spec, .binds = {}};
  strip_host_side(plan.spec);
  plan.spec.root->path = guest_directory(id) + "/rootfs";
  for (std::size_t n = 0; n < plan.spec.mounts.size(); ++n) {
    oci::Mount& mount = plan.spec.mounts[n];
    if (!is_made_on_host(mount)) continue;
    if (!is_bind(mount)) {
      plan.binds.push_back(plan_overlay(n, bundle.directory, mount));
      mount.source = guest_directory(id) + "/mounts/" + std::to_string(n);
      continue;
    }
    if (!mount.source || mount.source->empty()) {
      throw Error(Errc::invalid_argument,
                  "mounts[" + std::to_string(n) + "].source: missing for a bind mount");
    }
    plan.binds.push_back(
        plan_bind(n, (bundle.directory / *mount.source).lexically_normal(), mount.options));
    mount.source = guest_directory(id) + "/mounts/" + std::to_string(n);
  }
  return plan;
}

void use_shared_tmpfs(GuestPlan& plan, const std::vector<guestcomm::SharedTmpfs>& shared) {
  plan.shared_tmpfs = shared;
  for (PinnedMount& bind : plan.binds)
    bind.is_kept = std::ranges::any_of(
        shared, [&](const auto& one) { return one.mount == bind.number && one.is_kept; });
}

void leave_writable_below(GuestPlan& plan, const std::vector<std::size_t>& with_mounts_below) {
  for (const PinnedMount& bind : plan.binds) {
    if (!bind.read_only || bind.tree_read_only.value_or(false)) continue;
    if (std::ranges::find(with_mounts_below, bind.number) == with_mounts_below.end()) continue;
    if (std::ranges::find(plan.shared_tmpfs, bind.number, &guestcomm::SharedTmpfs::mount) !=
        plan.shared_tmpfs.end())
      continue;  // the guest's own, which the host cannot keep read-only
    std::erase(plan.spec.mounts.at(bind.number).options, "ro");
  }
}

void carry_restrictions(GuestPlan& plan,
                        const std::map<std::size_t, std::vector<std::string>>& options) {
  for (const auto& [number, restrictions] : options) {
    std::vector<std::string>& of_bind = plan.spec.mounts.at(number).options;
    for (const std::string& restriction : restrictions) {
      const std::string opposite = restriction.substr(2);  // "no"
      if (std::ranges::find(of_bind, restriction) == of_bind.end() &&
          std::ranges::find(of_bind, opposite) == of_bind.end())
        of_bind.push_back(restriction);
    }
  }
}

std::vector<hypervisor::NetworkCard> vm_cards(const std::string& vm_id, unsigned count) {
  std::vector<hypervisor::NetworkCard> cards;
  for (unsigned n = 0; n < count; ++n) cards.push_back(hypervisor::network_card(vm_id, n));
  return cards;
}

std::string vm_title(const std::string& container_id) { return "container " + container_id; }
std::string vm_description(const std::string& title) { return "husk " + title; }

hypervisor::VmConfig plan_vm_config(const std::string& title, const Config& config,
                                    const HostFacts& facts, const hypervisor::VmShape& shape) {
  hypervisor::VmConfig vm;
  vm.name = vm_name(facts.vm_id);
  vm.title = title;
  vm.description = vm_description(title);
  vm.accelerator = facts.accelerator;
  vm.shape = shape;
  vm.kernel_arguments = plan_kernel_arguments(
      config,
      hypervisor::driver_for(config.uri).kernel_arguments(facts.accelerator, shape, facts.tsc_khz));
  return vm;
}

std::string plan_kernel_arguments(const Config& config, const std::string& machine) {
  // Each of them is there for the start's sake: nothing is printed on the slow console but what
  // says why a guest died; a panic ends the VM.
  std::string arguments = machine +
                          " quiet loglevel=3 panic=-1 random.trust_cpu=on cryptomgr.notests "
                          "rcupdate.rcu_expedited=1";
  // A kernel refuses an allocation of more than all its memory, which on a host is much: in a guest that is hardly
  // larger than the container's limit, the limit decides, and the out-of-memory killer enforces it.
  arguments += " sysctl.vm.overcommit_memory=1";
  if (!config.kernel_arguments.empty()) arguments += " " + config.kernel_arguments;
  return arguments;
}

std::string plan_vsock_arguments(std::uint32_t announcement_port, bool privileged_ports) {
  return "husk.announce=" + std::to_string(announcement_port) +
         (privileged_ports ? " husk.privileged_ports" : "");
}

}  // namespace husk::runtime
