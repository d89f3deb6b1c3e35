// SPDX-License-Identifier: Apache-2.0
// The way of a container's first process from clone3 to exec: it makes the container.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "agent/container/process_setup.hpp"
#include "lib/oci/spec.hpp"

namespace husk::agent {

/// A socket of the agent's, and where in the container it is to be: on a file that is there.
struct PlacedSocket {
  std::filesystem::path source;
  std::string target;
};

/// Root of the container's user namespace, if it has one; before that there is no id at all.
void become_namespace_root(const oci::Spec& spec);

/// Sets the container up and goes on as run_child says. keyring: the name of its session keyring;
/// hook_state: for its startContainer hooks.
[[noreturn]] void run_container_init(const std::string& keyring, const oci::Spec& spec,
                                     const ChildDescriptors& fds,
                                     const std::optional<PlacedSocket>& socket,
                                     const std::string& hook_state) noexcept;

}  // namespace husk::agent
