// SPDX-License-Identifier: Apache-2.0
// The VM's virtio-fs share.
#pragma once

namespace husk::guestcomm {

/// In the guest: where the VM's virtio-fs share (tag "husk") is mounted. A container's rootfs is
/// <share>/<id>/rootfs, its pinned bind sources <share>/<id>/mounts/<n>.
inline constexpr const char* share_mount_point = "/run/husk/shared";
inline constexpr const char* share_tag = "husk";
/// In the share's top, readable by root only: the VM's secret, 32 hex digits.
inline constexpr const char* share_secret_file = "secret";

}  // namespace husk::guestcomm
