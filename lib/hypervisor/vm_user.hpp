// SPDX-License-Identifier: Apache-2.0
// Private to lib/hypervisor.
#pragma once

#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {

/// Whom libvirt's QEMU runs as: what qemu.conf says, else user libvirt-qemu and group kvm, as on
/// Debian; root's ids where there is none.
VmUser find_qemu_user();

}  // namespace husk::hypervisor
