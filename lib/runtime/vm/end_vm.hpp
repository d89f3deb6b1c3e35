// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/vm/vm_record.hpp"

namespace husk::runtime {

/// Ends the VM's processes at once, and has a process of its own remove what libvirt keeps of the VM as
/// soon as libvirt has noticed. Leaves the VM's directory. `vm` has name and uri. Throws when something
/// could not be ended.
void end_vm(const std::string& vm_id, const VmLeftOvers& vm,
            const hypervisor::ConnectHypervisor& connect);

}  // namespace husk::runtime
