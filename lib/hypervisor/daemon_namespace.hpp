// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lib/base/unique_fd.hpp"

namespace husk::hypervisor {

/// The mount namespace of the libvirt daemon that listens, the one for everything or `daemon`
/// ("virtqemud"), if it is another one than this thread's and may be entered. Where systemd listens
/// for the daemon, systemd's own: the daemon has the same. Starts no daemon itself.
UniqueFd daemons_mount_namespace(const std::string& daemon);

}  // namespace husk::hypervisor
