// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/pinned_files.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/mountinfo.hpp"
#include "lib/runtime/host/bind_source.hpp"
#include "lib/runtime/host/mount_points.hpp"
#include "lib/runtime/host/mount_tree.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

void make_directory_at(int parent, const std::string& name, mode_t mode) {
  check_sys(::mkdirat(parent, name.c_str(), mode), "make directory " + name + " in the share");
}

constexpr MountAttributes read_only{.set = MOUNT_ATTR_RDONLY, .clear = 0};
constexpr MountAttributes writable{.set = 0, .clear = MOUNT_ATTR_RDONLY};

/// The share through a mount that only this process has: the one that virtiofsd sees is read-only
/// at all times.
UniqueFd writable_share(const fs::path& shared) {
  UniqueFd copy = copy_mount(shared, false);
  set_propagation(copy.get(), MS_PRIVATE, false);
  change_mount(copy.get(), writable, false);
  return copy;
}

/// The limit for one source: a server that is slow, but alive, answers in less.
constexpr std::chrono::seconds source_patience{10};

/// The bind sources by their mounts' numbers, opened and restricted, attached nowhere yet.
using Binds = std::map<std::size_t, BindSource>;

Binds open_binds(const std::vector<PinnedMount>& mounts) {
  Binds binds;
  for (const PinnedMount& mount : mounts) {
    BindSource source = step("mount source", [&] {
      return open_bind_source({mount.source, mount.recursive, mount.follow_host}, source_patience);
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
  UniqueFd tree = step("rootfs", [&] {
    return std::move(open_bind_source({.path = rootfs, .recursive = true}, source_patience).tree);
  });
  if (!spec.root || !spec.root->readonly) return tree;
  make_mount_points(tree.get(), spec, [&](std::size_t n) {
    const auto bind = binds.find(n);
    return bind == binds.end() || bind->second.directory;
  });
  change_mount(tree.get(), read_only, false);
  return tree;
}

/// Makes the mount points of a container's binds: shared/<id>/rootfs and shared/<id>/mounts/<n>.
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

UniqueFd open_directory_at(int parent, const std::string& name) {
  UniqueFd opened{::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
  if (!opened && errno != ENOENT) throw_errno("open " + name + " in the share");
  return opened;
}

void remove_at(int parent, const std::string& name) {
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return;
  if (errno == ENOTDIR && ::unlinkat(parent, name.c_str(), 0) == 0) return;
  throw_errno("remove " + name + " from the share");
}

/// Removes what make_folders made. A mount point of a mount that is still there is busy: its content cannot be
/// reached by mistake.
void remove_folders(int share, const std::string& id) {
  const UniqueFd folder = open_directory_at(share, id);
  if (!folder) return;
  if (const UniqueFd mounts = open_directory_at(folder.get(), "mounts"))
    for (const std::string& name : names_in(mounts.get())) remove_at(mounts.get(), name);
  for (const char* name : {"mounts", "rootfs"}) remove_at(folder.get(), name);
  remove_at(share, id);
}

/// The table's paths are those of the kernel, whichever links lead to the VM's directory.
std::vector<std::size_t> find_with_mounts_below(const VmPaths& paths, const std::string& id,
                                                const std::vector<PinnedMount>& binds) {
  std::vector<std::size_t> found;
  const std::vector<MountEntry> table = load_mount_table();
  for (const PinnedMount& bind : binds) {
    if (!bind.recursive) continue;
    const std::string prefix = fs::canonical(paths.mount(id, bind.number)).string() + "/";
    if (std::ranges::any_of(table, [&](const MountEntry& mount) {
          return mount.mount_point.string().starts_with(prefix);
        }))
      found.push_back(bind.number);
  }
  return found;
}

}  // namespace

std::vector<std::size_t> pin_files(const VmPaths& paths, const std::string& id,
                                   const fs::path& rootfs, const GuestPlan& plan) {
  const Binds binds = open_binds(plan.binds);
  const UniqueFd root = open_rootfs(rootfs, plan.spec, binds);
  make_folders(paths.shared(), id, binds);
  attach_mount(root.get(), paths.rootfs(id));
  for (const auto& [number, bind] : binds) {
    attach_mount(bind.tree.get(), paths.mount(id, number));
  }
  return find_with_mounts_below(paths, id, plan.binds);
}

void unpin_files(const VmPaths& paths, const std::string& id) {
  const fs::path folder = paths.shared() / id;
  const UniqueFd visible{::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
  if (!visible && errno == ENOENT) return;
  check_sys(visible.get(), "open " + folder.string());
  // The outermost mounts alone: they lie in the share's own tmpfs, whose names nobody but husk can
  // change. What is mounted below goes with them; its names may belong to a user of the host.
  detach_mounts_on(visible.get(), "rootfs");
  if (const UniqueFd mounts = open_directory_at(visible.get(), "mounts"))
    for (const std::string& name : names_in(mounts.get())) detach_mounts_on(mounts.get(), name);
  remove_folders(writable_share(paths.shared()).get(), id);
}

}  // namespace husk::runtime
