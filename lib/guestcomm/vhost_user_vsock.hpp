// SPDX-License-Identifier: Apache-2.0
// A vsock device in user space for hosts without /dev/vhost-vsock: runs Debian's vhost-device-vsock
// for one VM. It does not end with its VM by itself, so a small keeper process does that.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "lib/base/process.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::guestcomm {

/// Running from construction on; ends on destruction unless handed over to a VM.
class VhostUserVsock {
 public:
  /// Starts vhost-device-vsock with its sockets `vhost.sock` (QEMU connects) and `vsock.sock` (the
  /// host connects) in `directory`, which must exist and belong to uid/gid, as whom it runs.
  /// Returns when both sockets are there. Must be called while the process has one thread. The
  /// keeper holds none of the caller's descriptors, is in the root cgroups, and ends both when this
  /// object goes or, after hand_over, when the VM ends. Throws unsupported "vhost-device-vsock is
  /// not installed and ...", timed_out.
  VhostUserVsock(const std::filesystem::path& directory, unsigned uid, unsigned gid);
  VhostUserVsock(VhostUserVsock&&) noexcept = default;
  VhostUserVsock& operator=(VhostUserVsock&&) noexcept = default;
  VhostUserVsock(const VhostUserVsock&) = delete;
  VhostUserVsock& operator=(const VhostUserVsock&) = delete;
  ~VhostUserVsock();

  std::filesystem::path device_socket() const;  ///< for QEMU's chardev
  std::filesystem::path host_socket() const;    ///< for HybridAddress
  /// From now on the device lives exactly as long as process `vm`.
  void hand_over(const ProcessIdentity& vm);

 private:
  std::filesystem::path directory_;
  UniqueFd keeper_;  ///< socket to the keeper; its closing without a hand-over ends the device
};

}  // namespace husk::guestcomm
