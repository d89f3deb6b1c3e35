// SPDX-License-Identifier: Apache-2.0
// A container's limits in the guest: linux.resources (config-linux.md "Control groups"), as files of
// a cgroup of version 2. The VM's own size is the host's affair.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/oci/spec.hpp"

namespace husk::agent {

struct CgroupSetting {
  std::string file, value;  ///< "memory.max", "67108864"
  friend bool operator==(const CgroupSetting&, const CgroupSetting&) = default;
};

/// Memory, CPU time, number of processes and `unified`; what says nothing, or nothing to a guest (its
/// CPUs' numbers, its disks, devices), is left out. Where two values share a file, the one that is
/// not given is taken from `cgroup`, as it is now. Throws invalid_argument, naming the field.
std::vector<CgroupSetting> cgroup_settings(const oci::Resources& resources,
                                           const std::filesystem::path& cgroup);

/// Applies all of them or, after an error, none. Throws what cgroup_settings throws, system.
void apply_limits(const oci::Resources& resources, const std::filesystem::path& cgroup);

}  // namespace husk::agent
