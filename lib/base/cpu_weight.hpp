// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

namespace husk {

/// Converts cgroup v1's cpu.shares, 2 to 262144, into v2's cpu.weight, 1 to 10000, as systemd, crun and runc before 1.4 do.
constexpr std::uint64_t cpu_weight_of(std::uint64_t shares) {
  constexpr std::uint64_t least = 2, most = 262144;
  return 1 + (std::clamp(shares, least, most) - least) * 9999 / (most - least);
}

}  // namespace husk
