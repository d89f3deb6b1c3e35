// SPDX-License-Identifier: Apache-2.0
// The places of a VM's run-time files (vm_directory.hpp) and its name, which follow from its id.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "lib/guestcomm/protocol/share.hpp"
#include "lib/handoff/vhost_sockets.hpp"

namespace husk::runtime {

/// Outside /run/husk, since a container may be called "vm". Short: Unix socket paths end at 107 bytes.
inline constexpr const char* vm_directories = "/run/husk-vm";

struct VmPaths {
  /// Throws invalid_argument for what is no VM's id (hypervisor::check_vm_id).
  explicit VmPaths(const std::string& vm_id);
  std::filesystem::path directory;
  std::filesystem::path kernel() const { return directory / "vmlinuz"; }
  std::filesystem::path initrd() const { return directory / "initrd"; }
  std::filesystem::path firmware() const { return directory / "firmware"; }
  std::filesystem::path share_socket() const { return directory / "share.sock"; }
  std::filesystem::path shared() const { return directory / "shared"; }
  std::filesystem::path vsock() const { return directory / "vsock"; }
  std::filesystem::path vsock_device() const { return vsock() / handoff::device_folder; }
  /// The console's log beside the directory: virtlogd writes it, in a mount namespace of its own (libvirt 11), where the
  /// directory's own tmpfs is not. There may be "<name>.0" and so on: virtlogd rotates.
  std::filesystem::path console_log() const { return directory.string() + ".console.log"; }
  /// Into it a hypervisor writes the console whose log the keeper writes (keeper/console_log.hpp).
  std::filesystem::path console_fifo() const { return directory / "console"; }
  std::filesystem::path network() const { return directory / "network"; }
  std::filesystem::path told_network() const { return network() / "told.json"; }
  std::filesystem::path network_ports() const { return network() / "ports"; }
  /// The network namespace of a pod that has no sandbox container, bound: its number stays the pod's.
  std::filesystem::path pod_network() const { return directory / "netns"; }
  /// The keeper's socket: who stands for a container says here that a process of it was killed for want of memory.
  std::filesystem::path kills() const { return directory / "kills"; }
  /// A VM of the pool has one of these three files, whose name says the VM's state (vm/spare.hpp).
  std::filesystem::path spare_boots() const { return directory / "spare.boots"; }
  std::filesystem::path spare_is_ready() const { return directory / "spare"; }
  std::filesystem::path spare_is_taken() const { return directory / "spare.taken"; }
  /// The socket on which the keeper of such a VM listens.
  std::filesystem::path claims() const { return directory / "claims"; }
  /// The network namespace in which such a VM's taps wait, bound.
  std::filesystem::path parked_network() const { return directory / "parked"; }
  std::filesystem::path record() const { return directory / "vm.json"; }
  std::filesystem::path rootfs(const std::string& id) const { return shared() / id / "rootfs"; }
  std::filesystem::path volumes() const { return shared() / guestcomm::share_volumes; }
  /// A link to one of the volumes.
  std::filesystem::path mount(const std::string& id, std::size_t n) const {
    return shared() / id / "mounts" / std::to_string(n);
  }
};

/// libvirt's name for the VM of that id.
std::string vm_name(const std::string& vm_id);

}  // namespace husk::runtime
