// SPDX-License-Identifier: Apache-2.0
// Private to lib/hypervisor.
#pragma once

#include <string>

#include "lib/hypervisor/driver.hpp"

namespace husk::hypervisor {

/// Removes the logs that libvirt keeps for ever of the ended VM `vm`. Needs no libvirt.
void remove_vm_logs(const Driver& driver, const std::string& vm) noexcept;

}  // namespace husk::hypervisor
