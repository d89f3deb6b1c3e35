// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/mounts.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <sstream>

#include "agent/setup/copy_tree.hpp"
#include "agent/setup/mount_calls.hpp"
#include "agent/setup/mount_target.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/trace.hpp"

namespace husk::agent {
namespace {

/// A link in the image may lead to its root as well. The container would not see a mount there, since
/// its root is root_fd, below that mount.
void check_not_root(int root_fd, int target) {
  struct statx root {
  }, there{};
  const unsigned wanted = STATX_INO | STATX_MNT_ID;
  check_sys(::statx(root_fd, "", AT_EMPTY_PATH, wanted, &root), "stat the rootfs");
  check_sys(::statx(target, "", AT_EMPTY_PATH, wanted, &there), "stat the mount point");
  if (root.stx_ino == there.stx_ino && root.stx_mnt_id == there.stx_mnt_id)
    throw Error(Errc::invalid_argument, "mountpoint is on the top of rootfs");
}

/// proc and sysfs only on a real directory: an image whose /proc is a link elsewhere would leave
/// the masked paths unmasked (CVE-2019-19921). The words are runc's.
UniqueFd ordinary_directory_target(int root_fd, const std::string& type, const std::string& path) {
  UniqueFd target = make_ordinary_directory_in_root(root_fd, path, 0755);
  if (target) return target;
  throw Error(Errc::invalid_argument,
              "filesystem \"" + type + "\" must be mounted on ordinary directory");
}

void apply_changes(int mount_fd, const MountOptions& options) {
  set_attributes(mount_fd, options.attributes, false);
  set_attributes(mount_fd, options.tree_attributes, true);
  for (const PropagationChange& change : options.propagation) set_propagation(mount_fd, change);
}

void bind(int root_fd, const oci::Mount& mount, const MountOptions& options) {
  const std::string& source = mount.source.value_or("");
  const UniqueFd from{check_sys(::open(source.c_str(), O_PATH | O_CLOEXEC), "open " + source)};
  const UniqueFd target = is_directory(from.get()) ? directory_target(root_fd, mount.destination)
                                                   : file_target(root_fd, mount.destination);
  check_not_root(root_fd, target.get());
  const UniqueFd copy = clone_mount(from.get(), "", options.recursive_bind);
  attach_mount(copy.get(), target.get());
  apply_changes(copy.get(), options);
}

void remount(int root_fd, const oci::Mount& mount, const MountOptions& options) {
  const UniqueFd target = open_in_root(root_fd, mount.destination, O_PATH);
  check_not_root(root_fd, target.get());
  apply_changes(target.get(), options);
}

/// A container in a user namespace does not own the guest's network, and sysfs shows that: it gets
/// a copy of the agent's.
UniqueFd sysfs_or_copy(const oci::Mount& mount, const MountOptions& options) {
  try {
    return new_filesystem("sysfs", mount.source.value_or("sysfs"), options);
  } catch (const Error& error) {
    if (error.sys_errno() != EPERM) throw;
    return clone_mount(AT_FDCWD, "/sys", true);
  }
}

UniqueFd make_filesystem(const oci::Mount& mount, const std::string& type,
                         const MountOptions& options) {
  if (type == "sysfs") return sysfs_or_copy(mount, options);
  if (type == "cgroup" || type == "cgroup2") {
    // Options of version 1 (controller names) mean nothing to version 2.
    MountOptions plain = options;
    plain.filesystem.clear();
    return new_filesystem("cgroup2", "cgroup", plain);
  }
  return new_filesystem(type, mount.source.value_or(type), options);
}

/// A bare option like "nr_inodes" is the file system's, but words of other programs are not: what
/// the agent makes is limited to file systems that hold nothing of the guest's.
void check_type(const std::string& type) {
  static const std::vector<std::string> known{"proc",   "sysfs",  "tmpfs",  "devpts",
                                              "mqueue", "cgroup", "cgroup2"};
  if (std::find(known.begin(), known.end(), type) == known.end()) {
    throw Error(Errc::unsupported, "file system type " + type + " is not supported");
  }
}

/// A tmpfs has the mode of its mount point unless the options, which come later, have another one.
/// Where the image has no mount point the kernel's default holds (runc: createMountpoint).
void take_mode(int root_fd, const std::string& destination, MountOptions& options) {
  const UniqueFd there = find_in_root(root_fd, destination, O_PATH | O_DIRECTORY);
  if (!there) return;
  struct stat status {};
  check_sys(::fstat(there.get(), &status), "stat");
  std::ostringstream mode;
  mode << std::oct << (status.st_mode & 07777);
  // Not insert(): g++ 12 at -O3 takes the vector's old storage for null.
  decltype(options.filesystem) with_mode{{"mode", mode.str()}};
  std::ranges::move(options.filesystem, std::back_inserter(with_mode));
  options.filesystem = std::move(with_mode);
}

UniqueFd mount_filesystem(int root_fd, const oci::Mount& mount, MountOptions options) {
  const std::string type = mount.type.value_or("");
  check_type(type);
  if (type == "tmpfs") take_mode(root_fd, mount.destination, options);
  const UniqueFd target = type == "proc" || type == "sysfs"
                              ? ordinary_directory_target(root_fd, type, mount.destination)
                              : directory_target(root_fd, mount.destination);
  check_not_root(root_fd, target.get());
  UniqueFd made = make_filesystem(mount, type, options);
  if (type == "tmpfs" && options.copy_up) copy_tree(target.get(), made.get());
  // A tmpfs (/dev above all) is filled before it becomes read-only.
  const bool seal_later = type == "tmpfs" && (options.attributes.set & MOUNT_ATTR_RDONLY) != 0;
  if (seal_later) options.attributes.set &= ~std::uint64_t{MOUNT_ATTR_RDONLY};
  attach_mount(made.get(), target.get());
  apply_changes(made.get(), options);
  return seal_later ? std::move(made) : UniqueFd{};
}

UniqueFd apply_mount(int root_fd, const oci::Mount& mount) {
  const MountOptions options = parse_mount_options(mount.options);
  if (!mount.uid_mappings.empty() || !mount.gid_mappings.empty()) {
    throw Error(Errc::unsupported, "id-mapped mounts are not supported");
  }
  if (options.remount) {
    remount(root_fd, mount, options);
  } else if (options.bind || mount.type == "bind") {
    bind(root_fd, mount, options);
  } else {
    return mount_filesystem(root_fd, mount, options);
  }
  return {};
}

}  // namespace

std::vector<UniqueFd> apply_mounts(int root_fd, const oci::Spec& spec) {
  std::vector<UniqueFd> to_seal;
  for (const oci::Mount& mount : spec.mounts) {
    const std::string what = "mount " + mount.destination;
    const Span span(what);
    UniqueFd sealable =
        step("mount " + mount.source.value_or(mount.type.value_or("")) + " at " + mount.destination,
             [&] { return apply_mount(root_fd, mount); });
    if (sealable) to_seal.push_back(std::move(sealable));
  }
  return to_seal;
}

void seal_mounts(const std::vector<UniqueFd>& mounts) {
  for (const UniqueFd& mount : mounts) set_attributes(mount.get(), {MOUNT_ATTR_RDONLY, 0}, false);
}

}  // namespace husk::agent
