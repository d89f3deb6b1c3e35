// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/namespace_facts.hpp"

#include <algorithm>
#include <array>

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"

namespace husk::runtime {
namespace {

using guestcomm::NamespaceUse;

const NamespaceFacts* find_facts(const std::vector<NamespaceFacts>& named,
                                 const std::string& type) {
  const auto found = std::ranges::find(named, type, &NamespaceFacts::type);
  return found == named.end() ? nullptr : &*found;
}

NamespaceUse::Way plan_way(const NamespaceFacts& facts) {
  if (facts.is_the_hosts) return NamespaceUse::Way::make;
  if (!facts.vm.empty()) return NamespaceUse::Way::join;
  // CRI-O pins ipc and uts namespaces for a pod before its first container. A pid namespace without a process
  // takes none.
  if (facts.type != "pid" && !facts.is_used) return NamespaceUse::Way::share;
  throw Error(Errc::unsupported, "linux.namespaces: the " + facts.type + " namespace " +
                                     quote(facts.path.string()) +
                                     " is not that of a container in a VM");
}

}  // namespace

std::vector<NamespaceUse> plan_namespaces(const oci::Spec& spec,
                                          const std::vector<NamespaceFacts>& named) {
  std::vector<NamespaceUse> uses;
  for (const char* type : {"pid", "ipc", "uts"}) {
    const NamespaceFacts* facts = find_facts(named, type);
    // Without ipc and uts namespaces of its own the shim is in the host's, whose name is no container's.
    // A pid namespace of its own the shim has always.
    const bool has_name = type == std::string("pid") ||
                          (has_namespace(spec, type) && !(facts != nullptr && facts->is_the_hosts));
    if (!has_name) continue;
    NamespaceUse use{.type = type, .name = {}};
    if (facts != nullptr) use.way = plan_way(*facts);
    if (use.way != NamespaceUse::Way::make) use.origin = to_string(facts->id);
    uses.push_back(std::move(use));
  }
  return uses;
}

void leave_the_hosts(oci::Spec& spec, const std::vector<NamespaceFacts>& named) {
  std::erase_if(spec.linux_.namespaces, [&](const oci::Namespace& ns) {
    const NamespaceFacts* facts = find_facts(named, ns.type);
    return facts != nullptr && facts->is_the_hosts;
  });
}

}  // namespace husk::runtime
