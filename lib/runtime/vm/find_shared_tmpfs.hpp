// SPDX-License-Identifier: Apache-2.0
// Which binds of a container are memory that containers of one VM share.
#pragma once

#include <vector>

#include "lib/guestcomm/protocol/shared_tmpfs.hpp"
#include "lib/oci/spec.hpp"

namespace husk::runtime {

/// The binds whose source is an empty tmpfs of the host: the source of /dev/shm, unless it is the host's own /dev/shm,
/// and Kubernetes' emptyDir with medium Memory. These are kept until the VM ends: a volume of a pod outlives containers.
/// Throws system.
std::vector<guestcomm::SharedTmpfs> find_shared_tmpfs(const oci::Spec& spec);

}  // namespace husk::runtime
