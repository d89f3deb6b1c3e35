// SPDX-License-Identifier: Apache-2.0
// What to do about what a host lacks: `husk check` and the error of a create say it in the same words.
#pragma once

namespace husk::advice {

inline constexpr const char* libvirt =
    "install libvirt-daemon-system (Debian) or libvirt-daemon-driver-qemu (Fedora)";
inline constexpr const char* libvirt_unit =
    "systemctl unmask libvirtd.socket (or virtqemud.socket), then systemctl start it";
inline constexpr const char* qemu = "install qemu-system-x86 (Debian) or qemu-kvm (Fedora)";
inline constexpr const char* virtiofsd =
    "install virtiofsd (Debian 13, Fedora) or qemu-system-common (Debian 12)";
inline constexpr const char* vsock =
    "load the module of the host's kernel (modprobe vhost_vsock); for a kernel without the module "
    "install "
    "vhost-device-vsock";
inline constexpr const char* guest_files =
    "install husk-guest, or name the files in /etc/husk/config.toml ([vm] kernel, initrd, modules)";

}  // namespace husk::advice
