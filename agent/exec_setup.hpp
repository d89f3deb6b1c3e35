// SPDX-License-Identifier: Apache-2.0
// The way of a process that joins a container from clone3 to exec.
#pragma once

#include "agent/process_setup.hpp"
#include "lib/oci/spec.hpp"

namespace husk::agent {

/// `container`: the one it joins. Only its pid namespace is joined before, by clone3 (Process).
/// Enters the others and goes on as run_child says.
[[noreturn]] void run_exec(const oci::Process& process, const oci::Spec& container,
                           const ChildDescriptors& fds) noexcept;

}  // namespace husk::agent
