// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/find_namespaces.hpp"

#include <algorithm>

#include "lib/base/directory_lock.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/runtime/plan/vm_paths.hpp"
#include "lib/runtime/vm/vm_record.hpp"

namespace husk::runtime {
namespace {

constexpr std::size_t max_pod_ports_bytes = 64;  ///< as container_network.cpp

bool has(const ProcessIdentity& shim, const NamespaceId& id, const std::string& type) {
  try {
    return namespace_of(shim, type) == id;
  } catch (const Error&) {
    return false;  // the shim has just ended
  }
}

/// A VM that is just being started has no process yet.
bool is_running(const VmRecord& vm) {
  return vm.process ? is_alive(*vm.process) : is_locked(VmPaths(vm.id).directory);
}

/// A pod without a sandbox container has its network namespace also while none of its containers runs.
bool is_of_pod(const VmRecord& vm, const NamespaceId& id, const std::string& type) {
  return type == "net" && vm.pod && vm.pod->network == id && is_running(vm);
}

bool leads_to(const std::string& vm_id, const NamespaceId& id, const std::string& type) {
  try {
    const VmRecord vm = load_vm(vm_id);
    return is_of_pod(vm, id, type) || std::ranges::any_of(live_shims(vm), [&](const auto& shim) {
             return has(shim, id, type);
           });
  } catch (const Error&) {
    return false;  // a record that cannot be read is no VM that could be joined
  }
}

NamespaceFacts find_facts(const std::string& type, const std::filesystem::path& path) {
  NamespaceFacts facts{.type = type, .path = path, .id = namespace_at(path, type)};
  facts.is_the_hosts = is_the_hosts(facts.id, type);
  if (facts.is_the_hosts) return facts;
  facts.vm = find_vm_with(facts.id, type);
  if (facts.vm.empty()) facts.is_used = has_process(facts.id, type);
  return facts;
}

}  // namespace

std::string find_vm_with(const NamespaceId& id, const std::string& type) {
  for (const std::string& vm : vm_ids())
    if (leads_to(vm, id, type)) return vm;
  return {};
}

std::string find_vm_of_pod(const std::filesystem::path& root, const std::string& sandbox,
                           const std::string& except) {
  for (const std::string& id : vm_ids()) {
    if (id == except) continue;
    try {
      const VmRecord vm = load_vm(id);
      if (vm.pod && vm.pod->root == root && vm.pod->sandbox == sandbox && is_running(vm)) return id;
    } catch (const Error&) {
      continue;  // a record that cannot be read is no VM that could be joined
    }
  }
  return {};
}

std::string find_ports_of_pod(const VmPod& pod) {
  for (const std::string& id : vm_ids()) {
    const VmLeftOvers vm = load_vm_left_overs(id);
    const std::filesystem::path kept = VmPaths(id).network_ports();
    if (vm.pod == pod && std::filesystem::exists(kept)) return read_file(kept, max_pod_ports_bytes);
  }
  return {};
}

std::vector<std::filesystem::path> find_cgroups_of_pod(const VmPod& pod) {
  std::vector<std::filesystem::path> cgroups;
  for (const std::string& id : vm_ids()) {
    const VmLeftOvers vm = load_vm_left_overs(id);
    if (!vm.pod || vm.pod->root != pod.root || vm.pod->sandbox != pod.sandbox) continue;
    for (const std::filesystem::path& cgroup : vm.cgroups)
      if (std::ranges::find(cgroups, cgroup) == cgroups.end()) cgroups.push_back(cgroup);
  }
  return cgroups;
}

std::vector<NamespaceFacts> find_namespaces(const oci::Spec& spec) {
  std::vector<NamespaceFacts> found;
  const auto& all = spec.linux_.namespaces;
  for (std::size_t n = 0; n < all.size(); ++n) {
    const oci::Namespace& ns = all[n];
    if (!ns.path || ns.path->empty() || (ns.type != "pid" && ns.type != "ipc" && ns.type != "uts"))
      continue;
    step("linux.namespaces[" + std::to_string(n) + "].path",
         [&] { found.push_back(find_facts(ns.type, *ns.path)); });
  }
  return found;
}

std::vector<guestcomm::NamespaceUse> with_names(std::vector<guestcomm::NamespaceUse> uses,
                                                const ProcessIdentity& shim) {
  for (guestcomm::NamespaceUse& use : uses) use.name = to_string(namespace_of(shim, use.type));
  return uses;
}

}  // namespace husk::runtime
