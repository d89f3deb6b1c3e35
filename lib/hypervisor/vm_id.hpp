// SPDX-License-Identifier: Apache-2.0
// The id of a VM. It names the VM's directory, its taps and its libvirt domain, so a value that
// comes from a file is checked before it becomes a part of a path.
#pragma once

#include <string_view>

namespace husk::hypervisor {

/// Whether `text` has the form that husk gives to ids: 8 lower-case hexadecimal digits.
bool is_vm_id(std::string_view text);

/// Throws invalid_argument `VM id "x": is not 8 hexadecimal digits`.
void check_vm_id(std::string_view text);

}  // namespace husk::hypervisor
