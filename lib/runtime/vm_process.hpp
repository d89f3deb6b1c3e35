// SPDX-License-Identifier: Apache-2.0
// Ending a VM without libvirt, and knowing that it has ended.
#pragma once

#include <optional>
#include <string>

#include "lib/base/process.hpp"

namespace husk::runtime {

/// The QEMU that libvirt started under that name, by libvirt's pid file; empty if there is none.
std::optional<ProcessIdentity> find_vm_process(const std::string& name);

/// SIGTERM, on which QEMU ends within milliseconds, then SIGKILL. False if it survives both.
bool end_vm_process(const ProcessIdentity& process);

}  // namespace husk::runtime
