// SPDX-License-Identifier: Apache-2.0
// Which namespaces a container gets, and how those of a user are filled.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// Flags for clone3(2). The mount namespace is always new; the network is the guest's own. Cgroup
/// and time namespaces are not among them: apply_cgroup_namespace, apply_time_namespace. Throws
/// unsupported for a namespace to be joined by its path.
std::uint64_t clone_flags(const oci::Spec& spec);

/// The same for a child that calls apply_mount_namespace.
std::uint64_t clone_flags_of_first(const oci::Spec& spec);

/// Called in the agent, for a child that waits: only the agent may write the maps.
void apply_id_mappings(pid_t pid, const oci::Spec& spec);

/// The host (agent) side id of a container's id; the same without a user namespace.
std::uint32_t map_id(const std::vector<oci::IdMapping>& mappings, std::uint32_t id);

// Called in the child.
void apply_mount_namespace();
void apply_cgroup_namespace();
void apply_time_namespace(const oci::Spec& spec);
void apply_host_name(const oci::Spec& spec);

}  // namespace husk::agent
