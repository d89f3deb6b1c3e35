// SPDX-License-Identifier: Apache-2.0
// The parts of a VM's record that tell of its size. Reading throws nlohmann's exceptions.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/host/limit_cgroup.hpp"
#include "lib/runtime/plan/vm_size.hpp"

namespace husk::runtime {

nlohmann::json demand_json(const Demand& demand);
Demand read_demand(const nlohmann::json& json);

nlohmann::json vm_size_json(const VmSize& size);
VmSize read_vm_size(const nlohmann::json& json);

nlohmann::json limits_json(const CgroupLimits& limits);
CgroupLimits read_limits(const nlohmann::json& json);

nlohmann::json shape_json(const hypervisor::VmShape& shape);
hypervisor::VmShape read_shape(const nlohmann::json& json);

}  // namespace husk::runtime
