// SPDX-License-Identifier: Apache-2.0
// Limits of the host's kernel that hold for the containers on it, and so shall for those in a VM.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace husk::runtime {

/// Paths below /proc/sys ("vm/max_map_count"), to their values.
using KernelParameters = std::map<std::string, std::string>;

/// Reads those of a fixed list, of which a larger value allows more. One that this kernel, or this network namespace, does
/// not have is left out.
KernelParameters load_host_sysctls(const std::filesystem::path& proc_sys = "/proc/sys");

}  // namespace husk::runtime
