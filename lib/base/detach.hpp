// SPDX-License-Identifier: Apache-2.0
// Cutting a process loose from the command that made it.
#pragma once

#include <vector>

namespace husk {

/// For a freshly forked process that shall outlive husk: own session, "/" as directory, default
/// signals and umask, streams on /dev/null, no descriptor but `keep`, and the root cgroups, since
/// the caller's cgroup may be removed or limited. Best effort on the cgroups; throws system for the
/// rest.
void detach_process(const std::vector<int>& keep);

}  // namespace husk
