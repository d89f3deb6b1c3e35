// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/shim_plan.hpp"

#include <algorithm>

#include "lib/runtime/plan/bind_options.hpp"

namespace husk::runtime {
namespace {

const oci::Namespace* find_namespace(const oci::Spec& spec, const std::string& type) {
  const auto& all = spec.linux_.namespaces;
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const oci::Namespace& ns) { return ns.type == type; });
  return found == all.end() ? nullptr : &*found;
}

/// Whether `mount` lies inside a mount that only the guest has (tmpfs on /dev, say): making its
/// mount point on the host would litter the image's rootfs.
bool is_inside_guest_mount(const oci::Spec& spec, const oci::Mount& mount) {
  const std::string path = std::filesystem::path(mount.destination).lexically_normal().string();
  return std::any_of(spec.mounts.begin(), spec.mounts.end(), [&](const oci::Mount& other) {
    const std::string parent = std::filesystem::path(other.destination).lexically_normal().string();
    return !is_made_on_host(other) && path.starts_with(parent + "/");
  });
}

HostRootPlan plan_host_root(const std::string& id, const oci::Spec& spec, const VmPaths& paths) {
  HostRootPlan plan{.rootfs = paths.rootfs(id), .mounts = {}};
  for (std::size_t n = 0; n < spec.mounts.size(); ++n) {
    const oci::Mount& mount = spec.mounts[n];
    if (is_inside_guest_mount(spec, mount)) continue;
    if (is_made_on_host(mount)) {
      const PinnedMount bind = plan_bind(n, {}, mount.options);
      plan.mounts.push_back({HostRootPlan::Kind::bind, paths.mount(id, n), mount.destination,
                             bind.read_only, bind.tree_read_only.value_or(false)});
    }
    if (mount.type == "proc")
      plan.mounts.push_back({HostRootPlan::Kind::proc, {}, mount.destination});
  }
  return plan;
}

}  // namespace

HostNamespaces plan_host_namespaces(const oci::Spec& spec) {
  HostNamespaces plan;
  const auto set = [&](const char* type, bool& fresh, std::optional<std::filesystem::path>& path) {
    const oci::Namespace* ns = find_namespace(spec, type);
    if (ns == nullptr) return;
    if (ns->path && !ns->path->empty()) {
      path = *ns->path;
    } else {
      fresh = true;
    }
  };
  set("network", plan.new_network, plan.network);
  set("ipc", plan.new_ipc, plan.ipc);
  set("uts", plan.new_uts, plan.uts);
  return plan;
}

ShimPlan plan_shim(const std::string& id, const oci::Spec& spec, const VmPaths& paths,
                   bool end_with_parent) {
  return {.arguments = spec.process ? spec.process->args : std::vector<std::string>{},
          .place = NewShim{.namespaces = plan_host_namespaces(spec),
                           .hostname = spec.hostname,
                           .root = plan_host_root(id, spec, paths)},
          .end_with_parent = end_with_parent};
}

ShimPlan plan_exec_shim(const oci::Process& process, const ProcessIdentity& first,
                        bool end_with_parent) {
  return {
      .arguments = process.args, .place = JoiningShim{first}, .end_with_parent = end_with_parent};
}

}  // namespace husk::runtime
