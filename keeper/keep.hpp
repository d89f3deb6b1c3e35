// SPDX-License-Identifier: Apache-2.0
// The keeper of a VM: the one process that stays with the VM. It ends the VM when no shim stands for its
// containers any more, runs a vsock device in user space where the host has no /dev/vhost-vsock, has
// the guest and its clock follow what changes around it on the host, and serves who connects to the guest there.
#pragma once

#include <functional>

#include "keeper/duties.hpp"
#include "lib/handoff/keeper_messages.hpp"

namespace husk::keeper {

using MakeDuties = std::function<Duties(const handoff::KeeperBegin&)>;

/// Does what husk says over `socket` (lib/handoff/keeper_messages.hpp), and never returns: exits when the
/// VM is gone. Takes the process over: its session, directory, streams and descriptors. When the last
/// shim has ended, and no other came, the guest has Patience::power_off to power off; then the VM is killed, as it is at
/// once when a helper ends.
[[noreturn]] void run(int socket, const MakeDuties& make_duties) noexcept;

}  // namespace husk::keeper
