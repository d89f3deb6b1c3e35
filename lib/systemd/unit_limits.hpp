// SPDX-License-Identifier: Apache-2.0
// Limits of a unit's cgroup (systemd.resource-control(5)).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/systemd/unit_property.hpp"

namespace husk::systemd {

/// Empty: no limit.
struct UnitLimits {
  std::optional<std::uint64_t> memory_bytes = {};
  std::optional<std::uint64_t> quota_us = {};    ///< of CPU time, in each 0.1 s
  std::optional<std::uint64_t> cpu_weight = {};  ///< 1 to 10000
  std::optional<std::uint64_t> tasks = {};
};

/// The properties for what `wanted` or `had` limits.
std::vector<UnitProperty> limit_properties(const UnitLimits& wanted, const UnitLimits& had);

/// Sets them until the unit ends. Does nothing where systemd does not run or knows no such unit. Throws system with
/// systemd's words.
void limit_unit(const std::string& name, const UnitLimits& wanted, const UnitLimits& had);

}  // namespace husk::systemd
