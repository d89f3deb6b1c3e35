// SPDX-License-Identifier: Apache-2.0
// Debian's vhost-device-vsock as a child process: a vsock device in user space.
#pragma once

#include <sys/types.h>

#include "lib/base/unique_fd.hpp"
#include "lib/handoff/vhost_sockets.hpp"

namespace husk::keeper {

/// Runs as uid and the group of the same number, without capabilities or descriptors of ours, and with
/// the filter of device_system_calls.hpp; killed and reaped on destruction, and killed when its parent
/// ends.
class VhostDevice {
 public:
  explicit VhostDevice(const handoff::VhostDeviceSetup& setup);
  VhostDevice(const VhostDevice&) = delete;
  VhostDevice& operator=(const VhostDevice&) = delete;
  ~VhostDevice();
  int pidfd() const { return pidfd_.get(); }

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

}  // namespace husk::keeper
