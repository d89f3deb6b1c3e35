// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace husk::runtime {

/// The release of the kernel that `modules` belongs to, as `uname -r` says it in the guest; empty: not known. The
/// directory holds one of that name (rootfs-builder/modules). Not for what a guest may have changed: says what was installed.
std::string find_kernel_release(const std::filesystem::path& modules);

/// Whether the release, as "6.12.3-name", is of that version or a later one.
bool is_kernel_since(std::string_view release, unsigned major, unsigned minor);

/// Whether the release is that of husk's own kernel (rootfs-builder/kernel-config, CONFIG_LOCALVERSION).
bool is_own_kernel(std::string_view release);

}  // namespace husk::runtime
