// SPDX-License-Identifier: Apache-2.0
// Reads what a plan needs to know of this host and this caller.
#pragma once

#include <filesystem>
#include <optional>

#include "lib/oci/spec.hpp"
#include "lib/runtime/host/config.hpp"
#include "lib/runtime/plan/host_facts.hpp"

namespace husk::runtime {

/// Throws what find_network_facts, find_namespaces and choose_vm throw.
HostFacts find_host_facts(const Config& config,
                          const std::optional<std::filesystem::path>& pid_file,
                          const oci::Spec& spec);

}  // namespace husk::runtime
