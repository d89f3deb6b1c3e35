// SPDX-License-Identifier: Apache-2.0
// The container's root directory, from the outside (before pivot_root) and from the inside.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/base/unique_fd.hpp"
#include "lib/oci/spec.hpp"

namespace husk::agent {

/// Cuts the mount namespace off from the agent's and gives the rootfs a mount of its own. Returns
/// its root: every path of the container is resolved against it (open_in_root).
UniqueFd apply_rootfs(const oci::Spec& spec);

/// Makes root_fd the root of this mount namespace and detaches everything else.
void apply_pivot(int root_fd);

/// linux.rootfsPropagation, on the new root.
void apply_rootfs_propagation(int root_fd, const std::optional<std::string>& propagation);
void apply_readonly_root(int root_fd);

/// Hides paths: a file under an empty device, a directory under an empty read-only one. Missing
/// ones are fine. `null_fd`: the agent's own /dev/null, not what the image calls so.
void apply_masked_paths(int root_fd, int null_fd, const std::vector<std::string>& paths);
void apply_readonly_paths(int root_fd, const std::vector<std::string>& paths);

/// process.cwd, made if it is missing.
void apply_working_directory(int root_fd, const std::string& cwd);

}  // namespace husk::agent
