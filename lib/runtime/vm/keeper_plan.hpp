// SPDX-License-Identifier: Apache-2.0
// The keeper of a VM (lib/guestcomm/link/vm_keeper.hpp): what it does for the VM, and the process
// that it runs in.
#pragma once

#include <filesystem>
#include <string>

#include "lib/guestcomm/link/vm_keeper.hpp"
#include "lib/hypervisor/vm.hpp"

namespace husk::runtime {

/// How the keeper of VM `vm_id`, whose record is written, is started. Under systemd it is a service
/// of its own, "husk-keeper-ID.service": conmon ends when the last of its descendants has ended, and
/// the VM may stay longer than the container that conmon is there for.
/// program: husk's own. has_device: the keeper runs the VM's vsock device.
guestcomm::KeeperSetup plan_keeper(const std::string& vm_id, const std::string& uri,
                                   const std::string& vm_name,
                                   const hypervisor::ConnectHypervisor& connect,
                                   const std::filesystem::path& program, bool has_device);

/// Does the work of a hidden command of husk (`husk keep-vm`): it is the keeper, with its socket as standard
/// input. Throws invalid_argument when standard input is no such socket, what load_vm throws.
struct KeepRequest {
  std::string vm_id;
  bool has_device = false;  ///< the keeper runs the VM's vsock device
};
[[noreturn]] void keep_vm(const KeepRequest& request, const hypervisor::ConnectHypervisor& connect);

}  // namespace husk::runtime
