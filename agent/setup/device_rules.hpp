// SPDX-License-Identifier: Apache-2.0
// linux.resources.devices: which devices of the guest's kernel a container may open and make nodes of.
#pragma once

#include <filesystem>
#include <vector>

#include "lib/base/device_filter.hpp"
#include "lib/oci/spec.hpp"

namespace husk::agent {

/// The container's rules in their order, and after them those that runc adds for every container: nodes of any device may
/// be made, and the default devices of config-linux.md, terminals and /dev/net/tun may be opened.
/// Throws invalid_argument for a number that no device has.
std::vector<DeviceFilterRule> plan_device_rules(const oci::Spec& spec);

/// For all processes of the container's cgroup. Throws what plan_device_rules throws; system, if this kernel has no such
/// filters and the last rule does not allow everything.
void apply_device_rules(const oci::Spec& spec, const std::filesystem::path& cgroup);

}  // namespace husk::agent
