// SPDX-License-Identifier: Apache-2.0
// ENOSYS for system calls that are newer than a seccomp profile (runc: libcontainer/seccomp/patchbpf).
#pragma once

#include <linux/filter.h>

#include <vector>

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// Instructions to be put in front of libseccomp's filter. A system call whose number is greater than
/// every number in the profile returns ENOSYS, so that a C library falls back on an older system
/// call; all others go on to the filter. Each architecture has a limit of its own, the native one
/// always included. Empty if the default action lets calls pass (ALLOW, LOG, TRACE). Throws
/// invalid_argument for an unknown architecture or action.
std::vector<sock_filter> make_enosys_stub(const oci::Seccomp& seccomp);

}  // namespace husk::agent
