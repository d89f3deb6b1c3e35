// SPDX-License-Identifier: Apache-2.0
// The devices of the host that the processes of a container's cgroup may open: those that libvirt
// allows QEMU, and harmless ones such as null. libvirt's own list is that of the cgroup in which it starts
// QEMU, and husk moves QEMU out of there. Any device node may be made, as in a container of runc's: virtiofsd makes those
// that the guest's kernel lets the container make, and opens none.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace husk::runtime {

/// A character device, for reading and writing. No block device may be opened.
struct AllowedDevice {
  unsigned major = 0;
  int minor = -1;  ///< -1: all
};

std::vector<AllowedDevice> allowed_devices();

/// cgroup v1: lines for devices.allow, those for making any node among them, after "a" was written to devices.deny.
std::vector<std::string> device_rules(const std::vector<AllowedDevice>& allowed);

/// Restricts the processes of a cgroup that husk has made to allowed_devices(). Does nothing in a
/// hierarchy of v1 without the devices controller. A program that another manager has attached holds as
/// well. Throws system.
void restrict_devices(const std::filesystem::path& cgroup, bool v2);

}  // namespace husk::runtime
