// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/base/namespace_id.hpp"
#include "lib/guestcomm/protocol/namespace_use.hpp"
#include "lib/oci/spec.hpp"

namespace husk::runtime {

/// The facts about a pid, ipc or uts namespace whose path config.json gives. The path names a namespace of
/// the host, which stands for one in a guest.
struct NamespaceFacts {
  std::string type;
  std::filesystem::path path;
  NamespaceId id = {};
  bool is_the_hosts = false;  ///< the calling command's own, or that of process 1
  std::string vm = {};        ///< id of the VM whose containers have it; empty: none
  bool is_used = false;       ///< a process that is no container's in a VM is in it
};

/// How the container in the guest comes to its pid, ipc and uts namespaces. NamespaceUse::name is missing: the
/// shim is not there yet. Throws unsupported for a namespace that processes outside of VMs have.
std::vector<guestcomm::NamespaceUse> plan_namespaces(const oci::Spec& spec,
                                                     const std::vector<NamespaceFacts>& named);

/// The spec of the guest without the namespaces that are the host's: there the guest's own are in their place.
void leave_the_hosts(oci::Spec& spec, const std::vector<NamespaceFacts>& named);

}  // namespace husk::runtime
