// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/unique_fd.hpp"
#include "lib/hypervisor/driver.hpp"

namespace husk::hypervisor {

/// The mount namespace of the libvirt daemon that listens, if it is another one than this thread's and may be entered. Where systemd listens
/// for the daemon, systemd's own: the daemon has the same. Starts no daemon itself.
UniqueFd daemons_mount_namespace(const Daemon& daemon);

}  // namespace husk::hypervisor
