// SPDX-License-Identifier: Apache-2.0
// Reads what a plan needs to know of this host and this caller.
#pragma once

#include <optional>

#include "lib/oci/spec.hpp"
#include "lib/runtime/caller/requests.hpp"
#include "lib/runtime/host/config.hpp"
#include "lib/runtime/plan/host_facts.hpp"
#include "lib/runtime/record/state_store.hpp"

namespace husk::runtime {

/// `pod`: of find_pod(). `store`: of the command's root. Throws what find_network_facts, find_namespaces, choose_vm
/// and plan_cgroup throw.
HostFacts find_host_facts(const Config& config, const CreateRequest& request, const oci::Spec& spec,
                          const std::optional<PodFacts>& pod, const StateStore& store);

/// The facts for a VM that no container has asked for. with_clock_rate: also HostFacts::tsc_khz, which takes 5 ms.
HostFacts find_spare_facts(const Config& config, bool with_clock_rate);

}  // namespace husk::runtime
