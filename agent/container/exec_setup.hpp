// SPDX-License-Identifier: Apache-2.0
// The way of a process that joins a container from clone3 to exec.
#pragma once

#include <string>

#include "agent/container/process_setup.hpp"
#include "lib/oci/spec.hpp"

namespace husk::agent {

/// keyring: the name of the session keyring of the container that it joins; `first`: its first process. clone3 (Process)
/// has joined the pid namespace. Enters the other namespaces and goes on as run_child says.
[[noreturn]] void run_exec(const std::string& keyring, const oci::Process& process,
                           const oci::Spec& container, pid_t first,
                           const ChildDescriptors& fds) noexcept;

}  // namespace husk::agent
