// SPDX-License-Identifier: Apache-2.0
// Which VM a container belongs to. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/runtime/plan/namespace_facts.hpp"
#include "lib/runtime/plan/network_facts.hpp"

namespace husk::runtime {

/// The id of the VM whose containers have the namespaces that config.json names; empty: none of them leads to
/// a VM, and the container gets a new one. Throws invalid_argument where they lead to two VMs; unsupported
/// where the container would join a VM but not its network: a VM has one.
std::string choose_vm(const std::optional<NetworkFacts>& network,
                      const std::vector<NamespaceFacts>& named);

}  // namespace husk::runtime
