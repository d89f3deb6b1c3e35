// SPDX-License-Identifier: Apache-2.0
// Limits of a cgroup on the host: what the processes of a VM may take from the host.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "lib/base/process.hpp"

namespace husk::runtime {

/// Empty: no limit.
struct CgroupLimits {
  std::optional<std::uint64_t> memory_bytes = {};
  std::optional<std::uint64_t> quota_us = {};       ///< of CPU time, in each 0.1 s
  std::optional<std::uint64_t> cpu_shares = {};     ///< as cgroup v1 counts them, 2 to 262144
  std::optional<std::string> cpus = {}, mems = {};  ///< cpuset(7), "List format"
  std::optional<std::uint64_t> processes = {};      ///< threads as well
  bool operator==(const CgroupLimits&) const = default;
};

/// Limits the cgroups that `member` is in, of every hierarchy, by systemd as well where the cgroup is a unit's. What `had`
/// limits and `wanted` does not becomes unlimited; what neither names is left as it is, and so is what the host has no
/// controller for. Throws system; peer_lost when the process is gone; invalid_argument for CPUs and memory nodes that the host does not have.
void limit_cgroups_of(const ProcessIdentity& member, const CgroupLimits& wanted,
                      const CgroupLimits& had);

/// The same for a directory of one hierarchy.
void limit_cgroup(const std::filesystem::path& directory, bool v2, const CgroupLimits& wanted,
                  const CgroupLimits& had);

}  // namespace husk::runtime
