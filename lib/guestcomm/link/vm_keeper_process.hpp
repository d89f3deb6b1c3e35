// SPDX-License-Identifier: Apache-2.0
// The body of a VM's keeper, and what it is told. Part of vm_keeper.
#pragma once

#include <optional>
#include <vector>

#include "lib/base/detach.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/link/keeper_duties.hpp"
#include "lib/guestcomm/link/vhost_device.hpp"

namespace husk::guestcomm {

/// A KeptVm: its processes as pidfds, and what it was given; empty where there is none.
struct KeptProcesses {
  UniqueFd vm;
  std::vector<UniqueFd> helpers, shims;
  UniqueFd changes = {}, listener = {}, held = {};
};

/// One message with all of them; at most max_passed_descriptors.
void send_kept_processes(int socket, const KeptProcesses& processes);
/// Instead of them: there will be no VM.
void send_no_vm(int socket) noexcept;

/// Greets with one byte, starts the device, waits on `socket` (SOCK_SEQPACKET) for the VM's processes, and lives until
/// the VM is gone. Removes the device's sockets. End of file on `socket` means that husk was
/// killed: see AbandonedVm.
[[noreturn]] void run_vm_keeper(int socket, DetachedCgroups cgroups,
                                const std::optional<VhostDeviceSetup>& device,
                                const KeeperDuties& duties) noexcept;

}  // namespace husk::guestcomm
