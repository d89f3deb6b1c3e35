// SPDX-License-Identifier: Apache-2.0
// The files and directories of a rootfs on which the spec's mounts go. Paths are resolved inside
// the root: the image may hold any symbolic link.
#pragma once

#include <functional>
#include <string>

#include "lib/base/unique_fd.hpp"
#include "lib/oci/spec.hpp"

namespace husk::runtime {

/// An O_PATH descriptor of `destination`, which is made if it is missing. Opens no file that is there, so that
/// neither a FIFO nor a device can hold it up. Throws system.
UniqueFd open_mount_point(int root, const std::string& destination, bool directory);

/// Makes the mount point of a file system of `type`: proc or sysfs gets no other place than an ordinary directory. Throws
/// invalid_argument in runc's words `filesystem "proc" must be mounted on ordinary directory`.
UniqueFd open_filesystem_point(int root, const std::string& destination, const std::string& type);

/// Makes what the guest would make in the rootfs but cannot once that is read-only: the mount
/// points, the nodes of linux.devices and the working directory. Those inside of another mount are not the rootfs's.
/// is_directory: of the spec's mount with that index.
void make_mount_points(int root, const oci::Spec& spec,
                       const std::function<bool(std::size_t)>& is_directory);

}  // namespace husk::runtime
