// SPDX-License-Identifier: Apache-2.0
// Private to lib/hypervisor.
#pragma once

#include <chrono>

namespace husk::hypervisor {

/// Makes sure that a libvirt daemon for qemu:///system listens: asks systemd where it runs, else
/// starts virtlogd and libvirtd, which end by themselves when idle. Throws unsupported where they
/// are not installed, timed_out.
void ensure_libvirt_daemon(std::chrono::seconds idle_timeout);

}  // namespace husk::hypervisor
