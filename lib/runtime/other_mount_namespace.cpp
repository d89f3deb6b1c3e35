// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/other_mount_namespace.hpp"

#include <sys/mount.h>
#include <sys/stat.h>

#include "lib/base/error.hpp"
#include "lib/base/mount_namespace.hpp"
#include "lib/runtime/mount_tree.hpp"

namespace husk::runtime {
namespace {

/// Where the tmpfs is mounted, unlike the tmpfs itself.
struct stat look_at_parent(const VmPaths& paths) {
  const std::filesystem::path parent = paths.directory.parent_path();
  struct stat status {};
  check_sys(::stat(parent.c_str(), &status), "stat " + parent.string());
  return status;
}

}  // namespace

void show_vm_directory(const VmPaths& paths, int mount_namespace) {
  const struct stat here = look_at_parent(paths);
  // A copy of a shared mount is its peer.
  const UniqueFd original = open_mount(paths.directory);
  set_propagation(original.get(), MS_SHARED, true);
  const UniqueFd peer = copy_mount(paths.directory, true);
  in_mount_namespace(mount_namespace, [&] {
    const struct stat there = look_at_parent(paths);
    if (there.st_dev != here.st_dev || there.st_ino != here.st_ino)
      throw Error(Errc::unsupported, paths.directory.parent_path().string() +
                                         ": is another directory where libvirt's daemon runs");
    mount_unbindable(paths.directory);
    attach_mount(peer.get(), paths.directory);
  });
}

}  // namespace husk::runtime
