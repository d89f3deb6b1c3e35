// SPDX-License-Identifier: Apache-2.0
// The process that ends a vhost-device-vsock with its VM. Part of vhost_user_vsock.
#pragma once

#include <string>

namespace husk::guestcomm {

inline constexpr const char* vhost_device_program = "/usr/bin/vhost-device-vsock";

struct VsockKeeper {
  std::string directory;  ///< of the sockets; belongs to uid/gid
  unsigned uid = 0, gid = 0;
  int socket = -1;  ///< SOCK_SEQPACKET: brings the VM's pidfd; end of file ends the device
};

/// Body of the keeper: starts the device, lives until it or the VM is gone, removes the sockets.
[[noreturn]] void run_vsock_keeper(const VsockKeeper& keeper) noexcept;

}  // namespace husk::guestcomm
