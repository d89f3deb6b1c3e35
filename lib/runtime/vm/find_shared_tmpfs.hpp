// SPDX-License-Identifier: Apache-2.0
// Which binds of a container are memory that containers of one VM share.
#pragma once

#include <string>
#include <vector>

#include "lib/guestcomm/protocol/shared_tmpfs.hpp"
#include "lib/oci/spec.hpp"

namespace husk::runtime {

/// The binds whose source is memory:
/// - the source of /dev/shm, an empty tmpfs of the host, unless it is the host's own /dev/shm;
/// - Kubernetes' emptyDir with medium Memory, and a directory in one (subPath), if the host's tmpfs has directories alone,
///   which kubelet makes. These are kept until the VM ends: a volume of a pod outlives containers.
/// `in_guest`: the names of tmpfs mounts that the VM is known to have (VmRecord::guest_tmpfs), whatever the host's contain.
/// Throws system.
std::vector<guestcomm::SharedTmpfs> find_shared_tmpfs(const oci::Spec& spec,
                                                      const std::vector<std::string>& in_guest);

}  // namespace husk::runtime
