// SPDX-License-Identifier: Apache-2.0
// The id of a VM. It names the VM's directory, its taps and its libvirt domain, so a value that
// comes from a file is checked before it becomes a part of a path.
#pragma once

#include <string>
#include <string_view>

namespace husk::hypervisor {

/// Whether `text` has the form that husk gives to ids: 8 lower-case hexadecimal digits.
bool is_vm_id(std::string_view text);

/// Throws invalid_argument `VM id "x": is not 8 hexadecimal digits`.
void check_vm_id(std::string_view text);

/// A random id. As a number it is the uid and gid of the VM's vsock device (device_uid), so two VMs
/// that have their own ids have their own users.
std::string new_vm_id();

/// The uid, and the gid, of the process that is the VM's vsock device, where the host's kernel has
/// none: 0x70000000 (1879048192) to 0x77ffffff (2013265919), a range that neither systemd nor
/// subuid(5) gives away by default. The low 27 bits are the id's. Throws invalid_argument for what is
/// no VM's id.
unsigned device_uid(std::string_view vm_id);

}  // namespace husk::hypervisor
