// SPDX-License-Identifier: Apache-2.0
// Making what the shim sees as "/" (shim_plan.hpp).
#pragma once

#include "lib/runtime/plan/shim_plan.hpp"

namespace husk::runtime {

/// Call in a process with a mount namespace and pid namespace of its own; it ends with "/" being
/// that root. Paths are resolved inside the root: the image may hold any symbolic link. Throws.
void enter_host_root(const HostRootPlan& plan);

}  // namespace husk::runtime
