// SPDX-License-Identifier: Apache-2.0
// A container's files in the share of its VM: its rootfs and its bind sources, each held by a mount of
// husk's own, so that callers may drop theirs once create has returned.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/runtime/plan/guest_plan.hpp"
#include "lib/runtime/plan/vm_paths.hpp"

namespace husk::runtime {

/// Mounts them below shared/<id>. A mount that is to be read-only is so before virtiofsd sees it,
/// whatever the guest does. Returns the numbers of the binds that have mounts below them. What a
/// failure leaves is for unpin_files. Throws system, naming the source; timed_out for a source that
/// does not answer.
std::vector<std::size_t> pin_files(const VmPaths& paths, const std::string& id,
                                   const std::filesystem::path& rootfs, const GuestPlan& plan);

/// Detaches them and removes shared/<id>; fine if there is nothing. Throws system.
void unpin_files(const VmPaths& paths, const std::string& id);

}  // namespace husk::runtime
