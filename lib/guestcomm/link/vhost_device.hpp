// SPDX-License-Identifier: Apache-2.0
// Debian's vhost-device-vsock as a child process: a vsock device in user space.
#pragma once

#include <sys/types.h>

#include <string>

#include "lib/base/unique_fd.hpp"

namespace husk::guestcomm {

inline constexpr const char* vhost_device_program = "/usr/bin/vhost-device-vsock";

struct VhostDeviceSetup {
  std::string directory;  ///< of the sockets; belongs to uid/gid
  unsigned uid = 0, gid = 0;
};

/// Runs as uid/gid without capabilities or descriptors of ours; killed and reaped on destruction,
/// and killed when its parent ends.
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

/// By descriptor: the directory's owner cannot point these names at another one's files.
void remove_vhost_sockets(int directory);

}  // namespace husk::guestcomm
