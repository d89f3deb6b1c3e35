// SPDX-License-Identifier: Apache-2.0
// Private to lib/hypervisor.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "lib/base/unique_fd.hpp"

namespace husk::hypervisor {

/// Makes sure that a libvirt daemon listens, the one for everything or `daemon` ("virtqemud"),
/// which has one driver alone: asks systemd where it runs, else starts virtlogd and one of
/// the two, which end by themselves when idle. Throws unsupported where they are not installed, timed_out.
void ensure_libvirt_daemon(const std::string& daemon, std::chrono::seconds idle_timeout);

/// The one for everything where it is installed in `directory`, else `daemon`. Throws unsupported
/// "libvirt is not installed (...)" where neither is.
std::filesystem::path find_daemon_program(const std::filesystem::path& directory,
                                          const std::string& daemon);

}  // namespace husk::hypervisor
