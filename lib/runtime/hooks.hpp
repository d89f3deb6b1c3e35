// SPDX-License-Identifier: Apache-2.0
// Hooks that run on the host (config.md "POSIX-platform Hooks").
#pragma once

#include <string>
#include <vector>

#include "lib/oci/spec.hpp"
#include "lib/oci/state.hpp"

namespace husk::runtime {

/// Runs them in order with the state on their stdin. Throws what the first failing one did:
/// "prestart hook #0 /usr/bin/x: exit status 3: <its output>".
void run_hooks(const std::vector<oci::Hook>& hooks, const std::string& kind,
               const oci::State& state);

/// The same, but a failure is only logged and the others still run (poststart, poststop).
void run_hooks_tolerantly(const std::vector<oci::Hook>& hooks, const std::string& kind,
                          const oci::State& state);

}  // namespace husk::runtime
