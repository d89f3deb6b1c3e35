// SPDX-License-Identifier: Apache-2.0
// Debian's vhost-device-vsock as a child process: a vsock device in user space.
#pragma once

#include <sys/types.h>

#include <string>

#include "lib/base/unique_fd.hpp"

namespace husk::guestcomm {

inline constexpr const char* vhost_device_program = "/usr/bin/vhost-device-vsock";
/// The hypervisor connects to the first, the host to the second.
inline constexpr const char *vhost_socket = "vhost.sock", *vsock_socket = "vsock.sock";

struct VhostDeviceSetup {
  std::string
      directory;  ///< root's; the device's sockets are in `device_folder` of it, which is uid's
  unsigned uid = 0;
};

/// Runs as uid and the group of the same number, without capabilities or descriptors of ours, and with
/// the filter of device_system_calls.hpp; killed and reaped on destruction, and killed when its parent
/// ends.
class VhostDevice {
 public:
  explicit VhostDevice(const VhostDeviceSetup& setup);
  VhostDevice(const VhostDevice&) = delete;
  VhostDevice& operator=(const VhostDevice&) = delete;
  ~VhostDevice();
  int pidfd() const { return pidfd_.get(); }

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

/// The folder of a VM's vsock/ that is the device's own.
inline constexpr const char* device_folder = "device";

/// Moves `vhost.sock` out of the device's folder into `directory`, which is root's, and gives it to
/// user `uid`, the hypervisor's. Throws system "socket vhost.sock in ...".
void give_vhost_socket(const std::string& directory, unsigned uid);

/// Removes the sockets in `directory` and in the device's folder in it. By descriptor: no name leads the caller
/// to another's files.
void remove_vhost_sockets(int directory);

}  // namespace husk::guestcomm
