// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// Makes the next look at a shared file a look at the host. For a second virtio-fs trusts what it
/// knows of names, sizes and times, but a process that is started now must see what the host
/// changed before: engines fill in /etc/hosts between create and start, people copy files into a
/// container and exec. What cannot be asked for again is left to that second.
void forget_shared_files(const oci::Spec& container) noexcept;

}  // namespace husk::agent
