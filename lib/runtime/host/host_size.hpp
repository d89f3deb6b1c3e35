// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace husk::runtime {

/// MiB of memory of the host, swap included.
std::uint64_t find_memory_mib();

/// The host's processors that are online; 1 at least.
unsigned find_cpus();

}  // namespace husk::runtime
