// SPDX-License-Identifier: Apache-2.0
// How a container leaves its VM, and how a VM ends.
#pragma once

#include <string>

#include "lib/hypervisor/vm.hpp"

namespace husk::runtime {

/// Removes the container, whose shim has ended, from the VM's members, and its files from the VM. The VM
/// moves into the cgroup of a container that stays. The last running container ends the VM; the last
/// member removes what is left of the VM on the host, whatever the record can still tell. May be
/// repeated. `uri`: libvirt's, where the record does not say. Throws when something of the VM could not
/// be ended.
void leave_vm(const std::string& vm_id, const std::string& container, const std::string& uri,
              const hypervisor::ConnectHypervisor& connect);

}  // namespace husk::runtime
