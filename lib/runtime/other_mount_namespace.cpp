// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/other_mount_namespace.hpp"

#include <sys/mount.h>
#include <sys/stat.h>

#include <optional>
#include <utility>

#include "lib/base/error.hpp"
#include "lib/base/mount_namespace.hpp"
#include "lib/runtime/mount_tree.hpp"

namespace husk::runtime {
namespace {

/// Identifies the directory that the VM's tmpfs is mounted in; empty if there is none.
std::optional<std::pair<dev_t, ino_t>> look_at_parent(const VmPaths& paths) {
  struct stat status {};
  if (::stat(paths.directory.parent_path().c_str(), &status) != 0) return std::nullopt;
  return std::pair(status.st_dev, status.st_ino);
}

}  // namespace

void show_vm_directory(const VmPaths& paths, int mount_namespace) {
  const auto here = look_at_parent(paths);
  // A copy of a shared mount is its peer.
  const UniqueFd original = open_mount(paths.directory);
  set_propagation(original.get(), MS_SHARED, true);
  const UniqueFd peer = copy_mount(paths.directory, true);
  in_mount_namespace(mount_namespace, [&] {
    if (look_at_parent(paths) != here)
      throw Error(Errc::unsupported, paths.directory.parent_path().string() +
                                         ": is another directory where libvirt's daemon runs");
    mount_unbindable(paths.directory);
    attach_mount(peer.get(), paths.directory);
  });
}

}  // namespace husk::runtime
