// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm_directory.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/mountinfo.hpp"
#include "lib/guestcomm/protocol/messages.hpp"
#include "lib/runtime/bind_source.hpp"
#include "lib/runtime/mount_points.hpp"
#include "lib/runtime/mount_tree.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

void make_directory(const fs::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    throw_errno("make directory " + path.string());
  }
}

void make_directory_at(int parent, const std::string& name, mode_t mode) {
  check_sys(::mkdirat(parent, name.c_str(), mode), "make directory " + name + " in the share");
}

void write_new_file(int parent, const std::string& name, const std::string& content, mode_t mode) {
  const UniqueFd fd{check_sys(
      ::openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode),
      "create " + name)};
  write_all(fd.get(), content);
}

void mount_or_throw(const fs::path& source, const fs::path& target, unsigned long flags,
                    const std::string& doing) {
  check_sys(::mount(source.c_str(), target.c_str(), nullptr, flags, nullptr), doing);
}

/// Bounds of the share's own tmpfs: a folder or an empty file per bind, and the secret's page.
constexpr const char* share_bytes = "64k";
constexpr const char* share_inodes = "8192";

constexpr MountAttributes read_only{.set = MOUNT_ATTR_RDONLY, .clear = 0};
constexpr MountAttributes writable{.set = 0, .clear = MOUNT_ATTR_RDONLY};
constexpr std::uint64_t share_attributes =
    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

/// The share through a mount that only this process has: the one that virtiofsd sees is read-only
/// at all times.
UniqueFd writable_share(const fs::path& shared) {
  UniqueFd copy = copy_mount(shared, false);
  set_propagation(copy.get(), MS_PRIVATE, false);
  change_mount(copy.get(), writable, false);
  return copy;
}

/// For one source: a server that is slow, but alive, answers in less.
constexpr std::chrono::seconds source_patience{10};

/// The bind sources by their mounts' numbers, opened and restricted, attached nowhere yet.
using Binds = std::map<std::size_t, BindSource>;

Binds open_binds(const std::vector<PinnedMount>& mounts) {
  Binds binds;
  for (const PinnedMount& mount : mounts) {
    BindSource source = step("mount source", [&] {
      return open_bind_source(mount.source, mount.recursive, source_patience);
    });
    const int tree = source.tree.get();
    if (mount.read_only) change_mount(tree, read_only, false);
    if (mount.tree_read_only) {
      change_mount(tree, *mount.tree_read_only ? read_only : writable, true);
    }
    binds.emplace(mount.number, std::move(source));
  }
  return binds;
}

UniqueFd open_rootfs(const fs::path& rootfs, const oci::Spec& spec, const Binds& binds) {
  UniqueFd tree = step(
      "rootfs", [&] { return std::move(open_bind_source(rootfs, true, source_patience).tree); });
  if (!spec.root || !spec.root->readonly) return tree;
  make_mount_points(tree.get(), spec, [&](std::size_t n) {
    const auto bind = binds.find(n);
    return bind == binds.end() || bind->second.directory;
  });
  change_mount(tree.get(), read_only, false);
  return tree;
}

/// What a container's binds are mounted on: shared/<id>/rootfs and shared/<id>/mounts/<n>.
void make_folders(const fs::path& shared, const std::string& id, const Binds& binds) {
  const UniqueFd share = writable_share(shared);
  make_directory_at(share.get(), id, 0700);
  make_directory_at(share.get(), id + "/rootfs", 0755);
  make_directory_at(share.get(), id + "/mounts", 0700);
  for (const auto& [number, bind] : binds) {
    const std::string point = id + "/mounts/" + std::to_string(number);
    if (bind.directory) {
      make_directory_at(share.get(), point, 0755);
    } else {
      write_new_file(share.get(), point, "", 0644);
    }
  }
}

/// Mount points below `directory`, deepest and latest first.
std::vector<std::string> mounts_below(const fs::path& directory) {
  std::vector<std::string> found;
  const std::string prefix = directory.string() + "/";
  for (const MountEntry& mount : load_mount_table()) {
    if (mount.mount_point.string().starts_with(prefix)) found.push_back(mount.mount_point);
  }
  std::reverse(found.begin(), found.end());
  return found;
}

/// Top mounts go lazily (virtiofsd may still hold them); below them there is then nothing to
/// unmount.
void unmount_below(const fs::path& directory) {
  for (const std::string& target : mounts_below(directory)) {
    if (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL &&
        errno != ENOENT) {
      throw_errno("unmount " + target);
    }
  }
  if (!mounts_below(directory).empty())
    throw Error(Errc::internal, "mounts are left below " + directory.string());
}

/// The hypervisor's user must get through both, not look around. The common parent goes with the
/// last VM, so another husk may take it away between the two steps.
void make_vm_directory(const fs::path& directory) {
  do {
    make_directory(vm_directories, 0711);
    if (::mkdir(directory.c_str(), 0711) == 0) return;
  } while (errno == ENOENT);
  throw_errno("make directory " + directory.string());
}

}  // namespace

VmDirectory::VmDirectory(const std::string& vm_id, const BootAssets& assets, unsigned vm_uid,
                         unsigned vm_gid, const std::string& secret)
    : paths_(vm_id) {
  make_vm_directory(paths_.directory);
  try {
    bind_asset(assets.kernel, paths_.kernel(), "guest kernel");
    bind_asset(assets.initrd, paths_.initrd(), "guest initrd");
    bind_asset(assets.firmware, paths_.firmware(), "firmware");
    make_directory(paths_.vsock(), 0700);
    check_sys(::chown(paths_.vsock().c_str(), vm_uid, vm_gid), "chown " + paths_.vsock().string());
    make_directory(paths_.network(), 0700);
    make_share(secret);
  } catch (...) {
    remove_vm_directory(vm_id);
    throw;
  }
}

VmDirectory::~VmDirectory() {
  if (!keep_) warn_on_failure([&] { remove_vm_directory(paths_.directory.filename()); });
}

void VmDirectory::bind_asset(const fs::path& source, const fs::path& target, const char* what) {
  struct stat status {};
  if (::stat(source.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) {
    // Not the kernel's words: Docker would read "no such file" as the container's command missing.
    throw Error(Errc::invalid_argument, std::string(what) + " " + source.string() +
                                            " is missing, empty, or not a regular file");
  }
  write_new_file(AT_FDCWD, target, "", 0444);
  mount_or_throw(source, target, MS_BIND, std::string("bind ") + what);
  mount_or_throw("none", target, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV,
                 std::string("make read-only ") + what);
}

void VmDirectory::make_share(const std::string& secret) {
  make_directory(paths_.shared(), 0700);
  const fs::path shared = paths_.shared();
  const UniqueFd made =
      make_tmpfs("husk", {{"mode", "0700"}, {"size", share_bytes}, {"nr_inodes", share_inodes}});
  write_new_file(made.get(), guestcomm::share_secret_file, secret, 0400);
  change_mount(made.get(), {.set = share_attributes, .clear = 0}, false);
  attach_mount(made.get(), shared);
  // A peer group of its own, not the one that a shared /run gives it.
  set_propagation(made.get(), MS_PRIVATE, false);
  set_propagation(made.get(), MS_SHARED, false);
}

void VmDirectory::add_container(const std::string& id, const fs::path& rootfs,
                                const GuestPlan& plan) {
  const Binds binds = open_binds(plan.binds);
  const UniqueFd root = open_rootfs(rootfs, plan.spec, binds);
  make_folders(paths_.shared(), id, binds);
  attach_mount(root.get(), paths_.rootfs(id));
  for (const auto& [number, bind] : binds) {
    attach_mount(bind.tree.get(), paths_.mount(id, number));
  }
}

void VmDirectory::remove_container(const std::string& id) const {
  if (!fs::exists(paths_.shared() / id)) return;
  unmount_below(paths_.shared() / id);
  const UniqueFd share = writable_share(paths_.shared());
  fs::remove_all(fs::path("/proc/self/fd") / std::to_string(share.get()) / id);
}

void remove_vm_directory(const std::string& vm_id) {
  const fs::path directory = VmPaths(vm_id).directory;
  if (vm_id.empty() || !fs::exists(directory)) return;
  unmount_below(directory);
  std::error_code error;
  // The ending keeper takes its sockets away at the same time, under remove_all's feet.
  for (int attempt = 0; attempt < 100; ++attempt) {
    fs::remove_all(directory, error);
    if (error != std::errc::no_such_file_or_directory) break;
  }
  if (error) throw_errno("remove " + directory.string(), error.value());
  ::rmdir(vm_directories);  // the last one; fails while others are there
}

}  // namespace husk::runtime
