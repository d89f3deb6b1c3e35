// SPDX-License-Identifier: Apache-2.0
// The running agent: everything that listens, and when it is time to go.
#pragma once

#include "agent/boot/boot.hpp"
#include "agent/request/secret.hpp"

namespace husk::agent {

/// Serves the host that knows `secret`; returns when the guest has nobody left to serve: no host
/// came, or the last went away.
void serve(const BootOptions& options, const Secret& secret);

}  // namespace husk::agent
