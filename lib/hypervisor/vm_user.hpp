// SPDX-License-Identifier: Apache-2.0
// Private to lib/hypervisor.
#pragma once

#include <filesystem>
#include <vector>

#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {

/// The files that say who QEMU's user is. /usr/lib/passwd has the system's users where /etc/passwd
/// has the administrator's alone (Fedora CoreOS).
struct UserFiles {
  std::filesystem::path qemu_conf = "/etc/libvirt/qemu.conf";
  std::vector<std::filesystem::path> passwd = {"/etc/passwd", "/usr/lib/passwd"};
};

/// The user as whom libvirt runs QEMU: the one that qemu.conf names, else libvirt-qemu (Debian),
/// else qemu (Fedora, openSUSE). Throws unsupported with the name that has no entry; never answers
/// with root unless qemu.conf names root.
VmUser find_qemu_user(const UserFiles& files = {});

}  // namespace husk::hypervisor
