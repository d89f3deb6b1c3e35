// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lib/runtime/plan/vm_plan.hpp"

namespace husk::runtime {

/// Says what a VM of the pool is made of: its settings, and husk's, QEMU's and virtiofsd's programs and the guest's files as
/// they are now. Two plans (plan_spare) with the same text make the same VM. `plan`: of any id and secret.
std::string spare_key(const VmPlan& plan);

}  // namespace husk::runtime
