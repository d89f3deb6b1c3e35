// SPDX-License-Identifier: Apache-2.0
// The way of a process that joins a container from clone3 to exec.
#pragma once

#include "agent/process_setup.hpp"
#include "lib/oci/spec.hpp"

namespace husk::agent {

/// `container`: the one it joins, whose first process is `first`. Only its pid namespace is joined before, by clone3 (Process).
/// Enters the others and goes on as run_child says.
[[noreturn]] void run_exec(const oci::Process& process, const oci::Spec& container, pid_t first,
                           const ChildDescriptors& fds) noexcept;

}  // namespace husk::agent
