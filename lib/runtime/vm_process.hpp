// SPDX-License-Identifier: Apache-2.0
// Ending a VM without libvirt, and knowing that it has ended.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/process.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::runtime {

/// A pidfd of exactly that process; empty if it is gone.
UniqueFd open_process(const ProcessIdentity& process);

/// False if it still runs after `patience`.
bool wait_for_end(const ProcessIdentity& process, std::chrono::milliseconds patience);

/// The QEMU that libvirt started under that name, by libvirt's pid file; empty if there is none.
std::optional<ProcessIdentity> find_vm_process(const std::string& name);

/// SIGKILL. False if it still runs after `patience`.
bool kill_process(const ProcessIdentity& process, std::chrono::milliseconds patience);

/// SIGTERM, on which QEMU ends within milliseconds, then SIGKILL. False if it survives both.
bool end_vm_process(const ProcessIdentity& process);

}  // namespace husk::runtime
