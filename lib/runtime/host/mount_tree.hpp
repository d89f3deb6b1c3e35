// SPDX-License-Identifier: Apache-2.0
// Mounts as descriptors (open_tree(2), fsmount(2)): a mount is made and changed while it is
// attached nowhere, so that nobody ever sees it without its restrictions. It goes with its
// descriptor unless attached.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/unique_fd.hpp"

namespace husk::runtime {

/// A copy of what `path` shows, with the mounts below it if recursive. Throws system.
UniqueFd copy_mount(const std::filesystem::path& path, bool recursive);

/// A new file system of that type with its options, attached nowhere; `source` is the name that the
/// mount table shows. An option with an empty value is a flag. Throws system, with the kernel's own words.
UniqueFd make_filesystem(const std::string& type, const std::string& source,
                         const std::vector<std::pair<std::string, std::string>>& options);

/// MOUNT_ATTR_* of the mount itself, or of all mounts below it too.
struct MountAttributes {
  std::uint64_t set = 0, clear = 0;
};
void change_mount(int mount, const MountAttributes& attributes, bool recursive);

/// propagation: MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE (mount_namespaces(7)).
void set_propagation(int mount, std::uint64_t propagation, bool recursive);

/// The mount that `path` is the top of, to be changed where it is. Throws system.
UniqueFd open_mount(const std::filesystem::path& path);

/// Mounts the directory on itself, so that a recursive bind of what is above leaves it out, with all
/// that is mounted on it later.
void mount_unbindable(const std::filesystem::path& directory);

/// `target` is not followed if it is a symbolic link.
void attach_mount(int mount, const std::filesystem::path& target);
/// On the open file or directory `target`.
void attach_mount(int mount, int target);

/// Detaches (MNT_DETACH) each mount on the entry `name` of the directory `parent`, with all that is
/// mounted below it; fine if there is none. No component of a path is resolved but `name`, which is
/// not followed if it is a symbolic link. Throws system.
void detach_mounts_on(int parent, const std::string& name);

}  // namespace husk::runtime
