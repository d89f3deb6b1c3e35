// SPDX-License-Identifier: Apache-2.0
// The way of a process that joins a container from clone3 to exec.
#pragma once

#include "agent/process_setup.hpp"
#include "lib/oci/spec.hpp"

namespace husk::agent {

/// What joins the container must be in before clone3: its pid namespace.
[[noreturn]] void run_exec(const oci::Process& process, const oci::Spec& container,
                           const ChildDescriptors& fds) noexcept;

}  // namespace husk::agent
