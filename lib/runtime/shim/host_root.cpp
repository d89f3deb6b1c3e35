// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/shim/host_root.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/runtime/host/mount_points.hpp"
#include "lib/runtime/host/mount_tree.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

void bind_into(int root, const HostRootPlan::Mount& mount) {
  const fs::path& source = mount.source;
  struct stat status {};
  check_sys(::stat(source.c_str(), &status), "stat " + source.string());
  const UniqueFd target = open_mount_point(root, mount.destination, S_ISDIR(status.st_mode));
  // Read-only where it is so in the share: a bind has its source's attributes. The share may have the source writable
  // for another container.
  const UniqueFd tree = copy_mount(source, true);
  constexpr MountAttributes read_only{.set = MOUNT_ATTR_RDONLY, .clear = 0};
  if (mount.read_only) change_mount(tree.get(), read_only, false);
  if (mount.tree_read_only) change_mount(tree.get(), read_only, true);
  step("bind to " + mount.destination, [&] { attach_mount(tree.get(), target.get()); });
}

/// Read-only: the shim keeps user 0, for which /proc/sys asks no capability, so that one that was
/// taken over could have the host's core_pattern run a program.
void mount_proc(int root, const HostRootPlan::Mount& mount) {
  const UniqueFd target = step("mount proc at " + mount.destination, [&] {
    return open_filesystem_point(root, mount.destination, "proc");
  });
  const UniqueFd proc = make_filesystem("proc", "proc", {});
  change_mount(
      proc.get(),
      {.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC}, false);
  attach_mount(proc.get(), target.get());
}

void pivot_to(int root) {
  check_sys(::fchdir(root), "enter the root");
  // pivot_root(".", "."): the old root is stacked on the new one and taken off, no directory is
  // needed for it.
  check_sys(::syscall(SYS_pivot_root, ".", "."), "pivot_root");
  check_sys(::umount2(".", MNT_DETACH), "leave the old root");
  check_sys(::chdir("/"), "chdir /");
}

}  // namespace

void enter_host_root(const HostRootPlan& plan) {
  check_sys(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
  const UniqueFd root{
      check_sys(::open(plan.rootfs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open rootfs")};
  for (const HostRootPlan::Mount& mount : plan.mounts) {
    if (mount.kind == HostRootPlan::Kind::bind) bind_into(root.get(), mount);
    if (mount.kind == HostRootPlan::Kind::proc) mount_proc(root.get(), mount);
  }
  pivot_to(root.get());
}

}  // namespace husk::runtime
