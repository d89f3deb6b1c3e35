// SPDX-License-Identifier: Apache-2.0
// The FIFO of --event-monitor, from which libvirt 11.1 and later read Cloud Hypervisor's events.
#pragma once

#include <string>

#include "lib/base/deadline.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::ch {

/// Opens the FIFO for writing (close-on-exec) once somebody reads it; empty if there is no such file. Throws
/// timed_out, system.
UniqueFd open_event_monitor(const std::string& path, const Deadline& deadline);

}  // namespace husk::ch
