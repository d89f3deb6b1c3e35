// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace husk::runtime {

/// The least limit of memory, in bytes, of `cgroup`, a path below each hierarchy's mount point, and of the cgroups
/// above it. Empty: none of those that exist has one.
std::optional<std::uint64_t> memory_limit(const std::filesystem::path& cgroup);

/// The same in the hierarchy of either version that is mounted on `mount_point`.
std::optional<std::uint64_t> memory_limit_in(const std::filesystem::path& mount_point,
                                             const std::filesystem::path& cgroup);

}  // namespace husk::runtime
