// SPDX-License-Identifier: Apache-2.0
// How a container leaves its VM, and how a VM ends.
#pragma once

#include <string>

#include "lib/hypervisor/vm.hpp"

namespace husk::runtime {

/// Strikes the container, whose shim has ended, off the VM's members. The last one ends the VM and
/// removes all that is left of it on the host, whatever its record can still tell, and may be
/// repeated. `uri`: libvirt's, where the record does not say. Throws when something of the VM could
/// not be ended.
void remove_from_sandbox(const std::string& vm_id, const std::string& container,
                         const std::string& uri, const hypervisor::ConnectHypervisor& connect);

}  // namespace husk::runtime
