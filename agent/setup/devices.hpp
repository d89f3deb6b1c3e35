// SPDX-License-Identifier: Apache-2.0
// The device files and links that every container has, and those of linux.devices.
#pragma once

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// Does nothing where the specification binds something on /dev: then /dev is the caller's.
/// `in_user_namespace`: device files cannot be made there, the agent's own are bound instead.
void apply_devices(int root_fd, const oci::Spec& spec, bool in_user_namespace);

}  // namespace husk::agent
