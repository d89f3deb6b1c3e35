// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/find_namespaces.hpp"

#include <algorithm>

#include "lib/base/error.hpp"
#include "lib/runtime/vm/vm_record.hpp"

namespace husk::runtime {
namespace {

bool has(const ProcessIdentity& shim, const NamespaceId& id, const std::string& type) {
  try {
    return namespace_of(shim, type) == id;
  } catch (const Error&) {
    return false;  // the shim has just ended
  }
}

/// A record that cannot be read is no VM that could be joined.
std::vector<ProcessIdentity> shims_of(const std::string& vm_id) {
  try {
    return live_shims(load_vm(vm_id));
  } catch (const Error&) {
    return {};
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
    if (std::ranges::any_of(shims_of(vm), [&](const auto& shim) { return has(shim, id, type); }))
      return vm;
  return {};
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
