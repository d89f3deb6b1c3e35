// SPDX-License-Identifier: Apache-2.0
// Reads what a plan needs to know of this host and this caller.
#pragma once

#include <filesystem>
#include <optional>

#include "lib/runtime/host/config.hpp"
#include "lib/runtime/plan/host_facts.hpp"

namespace husk::runtime {

/// network: the path of a network namespace that the container shall have, if the caller made it.
/// Throws what find_network_facts throws.
HostFacts find_host_facts(const Config& config,
                          const std::optional<std::filesystem::path>& pid_file,
                          const std::optional<std::filesystem::path>& network);

}  // namespace husk::runtime
