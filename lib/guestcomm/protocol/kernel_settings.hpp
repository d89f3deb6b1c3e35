// SPDX-License-Identifier: Apache-2.0
// Parameters of the whole guest's kernel, which the host writes into the share before the guest boots
// (share_kernel_settings).
#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace husk::guestcomm {

/// Paths below /proc/sys ("vm/max_map_count"), to their values.
using KernelParameters = std::map<std::string, std::string>;

struct KernelSettings {
  KernelParameters at_least;  ///< the host's: the guest keeps its own where it is larger
  KernelParameters exact;     ///< the administrator's
};

inline constexpr std::size_t max_kernel_settings_bytes = 16u << 10;

std::string to_text(const KernelSettings& settings);
/// Throws invalid_argument "malformed message: ...".
KernelSettings parse_kernel_settings(const std::string& text);

}  // namespace husk::guestcomm
