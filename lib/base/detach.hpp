// SPDX-License-Identifier: Apache-2.0
// Cutting a process loose from the command that made it.
#pragma once

#include <functional>
#include <vector>

namespace husk {

/// For a freshly forked process that shall outlive husk: own session, "/" as directory, default
/// signals and umask, streams on /dev/null, no descriptor but `keep`, and the root cgroups, since
/// the caller's cgroup may be removed or limited. Nothing is logged any more. Best effort on the
/// cgroups; throws system for the rest.
void detach_process(const std::vector<int>& keep);

/// Runs `body` in a process that is nobody's zombie: a grandchild of this one, which must have one
/// thread. What `body` throws ends it. Throws system.
void fork_orphan(const std::function<void()>& body);

}  // namespace husk
