// SPDX-License-Identifier: Apache-2.0
// The config.json that `husk spec` writes.
#pragma once

#include "lib/oci/spec.hpp"

namespace husk::oci {
/// A container that runs `sh` on a terminal in ./rootfs, as runc's example does.
/// rootless: with a user namespace mapping the caller's ids, without the network namespace.
Spec example_spec(bool rootless, unsigned uid, unsigned gid);
}  // namespace husk::oci
