// SPDX-License-Identifier: Apache-2.0
// The kernel's descriptor-based mount calls: nothing here resolves a path twice.
#pragma once

#include <string>

#include "agent/setup/mount_options.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::agent {

/// A new, not yet attached mount of file system `type`. `name` is what /proc/mounts shows as its
/// source.
UniqueFd new_filesystem(const std::string& type, const std::string& name,
                        const MountOptions& options);
/// A not yet attached copy of the mount at `path` (relative to directory_fd; "" for the descriptor
/// itself).
UniqueFd clone_mount(int directory_fd, const std::string& path, bool recursive);

void set_attributes(int mount_fd, const AttributeChange& change, bool recursive);
void set_propagation(int mount_fd, const PropagationChange& change);

/// Attaches a mount on top of what `target_fd` (O_PATH) is.
void attach_mount(int mount_fd, int target_fd);

}  // namespace husk::agent
