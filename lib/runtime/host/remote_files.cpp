// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/remote_files.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

/// File systems without a block device that this kernel serves itself.
constexpr std::array<std::string_view, 27> local_types{
    "tmpfs",    "ramfs",     "devtmpfs",    "overlay", "btrfs",   "zfs",    "bcachefs",
    "proc",     "sysfs",     "hugetlbfs",   "devpts",  "mqueue",  "cgroup", "cgroup2",
    "nsfs",     "bpf",       "securityfs",  "debugfs", "tracefs", "pstore", "configfs",
    "efivarfs", "selinuxfs", "binfmt_misc", "fusectl", "rootfs",  "resctrl"};

bool is_remote(const MountEntry& mount) {
  if (mount.type == "fuse" || mount.type == "fuseblk" || mount.type.starts_with("fuse."))
    return true;
  const bool has_block_device = !mount.device.starts_with("0:");
  return !has_block_device && std::ranges::find(local_types, mount.type) == local_types.end();
}

bool is_below(const fs::path& path, const fs::path& parent) {
  return (path / "").string().starts_with((parent / "").string());
}

}  // namespace

bool has_remote_files(const std::vector<MountEntry>& table, const fs::path& path, bool recursive) {
  const MountEntry* own = nullptr;
  for (const MountEntry& mount : table) {
    if (recursive && mount.mount_point != path && is_below(mount.mount_point, path) &&
        is_remote(mount))
      return true;
    // The later of two mounts on one point hides the other.
    if (is_below(path, mount.mount_point) &&
        (own == nullptr || is_below(mount.mount_point, own->mount_point)))
      own = &mount;
  }
  return own != nullptr && is_remote(*own);
}

}  // namespace husk::runtime
