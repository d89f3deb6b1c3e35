// SPDX-License-Identifier: Apache-2.0
// The namespaces of this host that stand for namespaces in guests.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/base/namespace_id.hpp"
#include "lib/guestcomm/protocol/namespace_use.hpp"
#include "lib/runtime/plan/namespace_facts.hpp"
#include "lib/runtime/plan/pod.hpp"

namespace husk::runtime {

/// The id of the VM whose containers' shims are in the namespace, or whose pod has it; empty: none. type: as namespace_at() has it.
std::string find_vm_with(const NamespaceId& id, const std::string& type);

/// The id of a running VM that the pod has, other than `except`; empty: none.
std::string find_vm_of_pod(const std::filesystem::path& root, const std::string& sandbox,
                           const std::string& except = {});

/// The range of ports that the pod's network namespace had before a VM of the pod took it over; empty: no VM did.
std::string find_ports_of_pod(const VmPod& pod);

/// The cgroups that husk made for the pod's VMs, of which all but one have died.
std::vector<std::filesystem::path> find_cgroups_of_pod(const VmPod& pod);

/// Looks up the pid, ipc and uts namespaces that the spec names by a path. Throws invalid_argument and system
/// with the entry's field for a path that is none.
std::vector<NamespaceFacts> find_namespaces(const oci::Spec& spec);

/// The uses with the names of the shim's namespaces. Throws as namespace_of().
std::vector<guestcomm::NamespaceUse> with_names(std::vector<guestcomm::NamespaceUse> uses,
                                                const ProcessIdentity& shim);

}  // namespace husk::runtime
