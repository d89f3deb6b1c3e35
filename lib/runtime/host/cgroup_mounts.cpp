// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/cgroup_mounts.hpp"

#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include <algorithm>
#include <string>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/mountinfo.hpp"
#include "lib/runtime/host/mount_tree.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

/// Any directory that every host has: what it holds is of no use in the thread's own namespace.
constexpr const char* workbench = "/run";

bool is_cgroup_below(const MountEntry& mount, const fs::path& directory) {
  const std::string prefix = directory == "/" ? "/" : directory.string() + "/";
  return (mount.type == "cgroup" || mount.type == "cgroup2") &&
         mount.mount_point.string().starts_with(prefix);
}

}  // namespace

bool is_cgroup_filesystem(int fd) {
  struct statfs status {};
  check_sys(::fstatfs(fd, &status), "stat a mount");
  return status.f_type == CGROUP_SUPER_MAGIC || status.f_type == CGROUP2_SUPER_MAGIC;
}

bool has_cgroup_mounts_below(const fs::path& path) {
  const fs::path directory = fs::canonical(path);
  return std::ranges::any_of(load_mount_table(), [&](const MountEntry& mount) {
    return is_cgroup_below(mount, directory);
  });
}

// A tree that is attached nowhere cannot be changed, and in the host's own namespace nothing below a
// bind is unmounted: users of the host may shape the paths there.
UniqueFd without_cgroup_mounts(UniqueFd tree) {
  check_sys(::unshare(CLONE_NEWNS), "unshare the mount namespace");
  check_sys(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
  attach_mount(tree.get(), workbench);
  std::vector<MountEntry> table = load_mount_table("/proc/thread-self/mountinfo");
  std::ranges::reverse(table);  // what is mounted on another mount goes first
  for (const MountEntry& mount : table) {
    if (!is_cgroup_below(mount, workbench)) continue;
    check_sys(::umount2(mount.mount_point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW),
              "unmount " + mount.mount_point.string());
  }
  return copy_mount(workbench, true);
}

}  // namespace husk::runtime
