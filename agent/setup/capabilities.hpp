// SPDX-License-Identifier: Apache-2.0
// The five capability sets of a process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// "CAP_CHOWN" → 0; empty for a name that this kernel's headers do not know.
std::optional<int> find_capability(const std::string& name);

/// Bit n for capability n. Unknown names are left out, as runc does.
std::uint64_t capability_mask(const std::vector<std::string>& names);
/// Logs what is left out; by the agent, since its children have no log.
void warn_of_ignored(const oci::Capabilities& capabilities);

/// Takes away from the bounding set what is not in the list. Needs CAP_SETPCAP: before the user
/// changes.
void apply_bounding_set(const oci::Capabilities& capabilities);
/// The other four, after the user changed (with PR_SET_KEEPCAPS on).
void apply_capabilities(const oci::Capabilities& capabilities);

}  // namespace husk::agent
