// SPDX-License-Identifier: Apache-2.0
// The loopback interface of a new network namespace.
#pragma once

namespace husk {

/// Brings "lo" up in the calling thread's network namespace. Throws system.
void bring_loopback_up();

}  // namespace husk
