// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/choose_vm.hpp"

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"

namespace husk::runtime {
namespace {

/// A namespace that leads to a VM.
struct Lead {
  std::string type, path, vm;
};

std::string describe(const Lead& lead) {
  return "the " + lead.type + " namespace " + quote(lead.path) + " is in VM " + lead.vm;
}

std::vector<Lead> find_leads(const std::optional<NetworkFacts>& network,
                             const std::vector<NamespaceFacts>& named) {
  std::vector<Lead> leads;
  if (network && !network->vm.empty())
    leads.push_back({"network", network->path.string(), network->vm});
  for (const NamespaceFacts& one : named)
    if (!one.vm.empty()) leads.push_back({one.type, one.path.string(), one.vm});
  return leads;
}

}  // namespace

std::string choose_vm(const std::optional<NetworkFacts>& network,
                      const std::vector<NamespaceFacts>& named) {
  const std::vector<Lead> leads = find_leads(network, named);
  if (leads.empty()) return {};
  const Lead& first = leads.front();
  for (const Lead& other : leads)
    if (other.vm != first.vm)
      throw Error(Errc::invalid_argument, "linux.namespaces: " + describe(first) + ", " +
                                              describe(other) + ": a container is in one VM");
  if (first.type != "network")
    throw Error(Errc::unsupported,
                "linux.namespaces: " + describe(first) +
                    ", whose network the container must join as well: a VM has one network "
                    "(--network container:NAME, or --share net," +
                    first.type + " for a pod)");
  return first.vm;
}

}  // namespace husk::runtime
