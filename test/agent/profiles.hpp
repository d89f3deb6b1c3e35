// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lib/oci/spec.hpp"

namespace husk::test {

/// profiles/NAME.json. docker-20.10 and podman-4.3: linux.seccomp as those write it into config.json.
/// minimal: what runc 1.1 calls after loading, and what busybox needs to start and to run `true`.
oci::Seccomp load_profile(const std::string& name);

}  // namespace husk::test
