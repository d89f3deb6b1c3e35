// SPDX-License-Identifier: Apache-2.0
// Private to lib/hypervisor.
#pragma once

#include <chrono>
#include <filesystem>

#include "lib/hypervisor/driver.hpp"

namespace husk::hypervisor {

/// Makes sure that a libvirt daemon with the driver listens: libvirtd, or the driver's own. Asks systemd where it runs,
/// else starts virtlogd and find_daemon_program(), which end by themselves when idle. libvirtd does not count for a
/// driver that may not be in libvirtd while the driver's own daemon is installed or listens. Throws unsupported where
/// neither is installed, timed_out.
void ensure_libvirt_daemon(const Daemon& daemon, std::chrono::seconds idle_timeout);

/// The program of the daemon in `directory`: libvirtd where it is installed, else the driver's own daemon. A driver that
/// may not be in libvirtd has its own daemon preferred. Throws unsupported "libvirt is not installed (...)" where neither
/// is installed.
std::filesystem::path find_daemon_program(const std::filesystem::path& directory,
                                          const Daemon& daemon);

}  // namespace husk::hypervisor
