// SPDX-License-Identifier: Apache-2.0
// The way of a kill for want of memory from the shim to the VM's keeper, who has it counted (host/count_oom_kill.hpp).
#pragma once

#include "lib/base/unique_fd.hpp"
#include "lib/runtime/plan/vm_paths.hpp"

namespace husk::runtime {

/// The keeper's end, for datagrams. Throws system.
UniqueFd make_kill_socket(const VmPaths& vm);

/// A shim's end, connected, with an address for the answer. Empty: an older husk has started the VM, and nobody listens.
/// Throws system.
UniqueFd connect_kill_socket(const VmPaths& vm);

}  // namespace husk::runtime
