// SPDX-License-Identifier: Apache-2.0
// The VM's virtio-fs share.
#pragma once

namespace husk::guestcomm {

/// In the guest: where the VM's virtio-fs share (tag "husk") is mounted. A container's rootfs is
/// <share>/<id>/rootfs. Its bind source n is where the link <share>/<id>/mounts/<n> leads: to the source, pinned once
/// for all containers, in <share>/@volumes.
inline constexpr const char* share_mount_point = "/run/husk/shared";
inline constexpr const char* share_tag = "husk";
/// In the share's top, readable by root only: the VM's secret, 32 hex digits.
inline constexpr const char* share_secret_file = "secret";

/// Beginning with "@", as no container's id does.
inline constexpr const char* share_volumes = "@volumes";
/// The modules that the guest's kernel loads on demand, by /sbin/modprobe of the initial root: links in the initrd lead
/// here (rootfs-builder/initrd). The directory is empty where the VM's kernel has no modules.
inline constexpr const char* share_modules = "@modules";
/// The directory with the file share_kernel_settings in it: to_text(KernelSettings).
inline constexpr const char* share_kernel = "@kernel";
inline constexpr const char* share_kernel_settings = "@kernel/settings";

}  // namespace husk::guestcomm
