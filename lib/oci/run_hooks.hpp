// SPDX-License-Identifier: Apache-2.0
// Hooks of one kind (config.md "POSIX-platform Hooks"), wherever they run: on the host or, those of
// startContainer, in the guest.
#pragma once

#include <string>
#include <vector>

#include "lib/oci/spec.hpp"

namespace husk::oci {

/// Runs them in order with `state` on their stdin. Throws what the first failing one did:
/// "prestart hook #0 /usr/bin/x: exit status 3: <the end of its output>". namespaces_of: as in
/// Subprocess.
void run_hooks(const std::vector<Hook>& hooks, const std::string& kind, const std::string& state,
               int namespaces_of = -1);

}  // namespace husk::oci
