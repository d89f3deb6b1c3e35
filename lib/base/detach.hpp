// SPDX-License-Identifier: Apache-2.0
// Cutting a process loose from the command that made it.
#pragma once

#include <functional>
#include <vector>

namespace husk {

/// Which cgroups a detached process is in.
enum class DetachedCgroups {
  root,      ///< since the caller's may be removed or limited; as far as that is allowed
  unchanged  ///< somebody made them for it
};

/// For a process that shall outlive husk: own session, "/" as directory, default signals and umask,
/// streams on /dev/null, and no descriptor but `keep`. Nothing is logged any more. Throws system.
void detach_process(const std::vector<int>& keep, DetachedCgroups cgroups = DetachedCgroups::root);

/// Runs `body` in a process that is nobody's zombie: a grandchild of this one, which must have one
/// thread. What `body` throws ends it. Throws system.
void fork_orphan(const std::function<void()>& body);

}  // namespace husk
