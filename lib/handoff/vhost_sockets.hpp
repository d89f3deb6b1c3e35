// SPDX-License-Identifier: Apache-2.0
// The sockets of a vsock device in user space: of a VM's keeper, which runs the device, and of the husk
// that waits for them.
#pragma once

#include <string>

namespace husk::handoff {

inline constexpr const char* vhost_device_program = "/usr/bin/vhost-device-vsock";
/// The hypervisor connects to the first, the host to the second.
inline constexpr const char *vhost_socket = "vhost.sock", *vsock_socket = "vsock.sock";
/// The folder of a VM's vsock/ that is the device's own.
inline constexpr const char* device_folder = "device";

struct VhostDeviceSetup {
  /// Root's; the device's sockets are in `device_folder` of it, which belongs to `uid`.
  std::string directory;
  unsigned uid = 0;
};

/// Moves `vhost.sock` out of the device's folder into `directory`, which is root's, and gives it to
/// user `uid`, the hypervisor's. Throws system "socket vhost.sock in ...".
void give_vhost_socket(const std::string& directory, unsigned uid);

/// Removes the sockets in `directory` and in the device's folder in it. By descriptor: no name leads the
/// caller to another's files.
void remove_vhost_sockets(int directory);

}  // namespace husk::handoff
