// SPDX-License-Identifier: Apache-2.0
// Signals as something to read, for a process that passes them on.
#pragma once

#include "lib/base/unique_fd.hpp"

namespace husk {

/// Blocks every signal in the calling thread, and returns a descriptor from which they are read
/// (signalfd(2)). Throws system.
UniqueFd collect_signals();

}  // namespace husk
