// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/pinned_files.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <map>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/runtime/host/bind_source.hpp"
#include "lib/runtime/host/mount_points.hpp"
#include "lib/runtime/host/mount_tree.hpp"
#include "lib/runtime/vm/share_folders.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

constexpr MountAttributes read_only{.set = MOUNT_ATTR_RDONLY, .clear = 0};
constexpr MountAttributes writable{.set = 0, .clear = MOUNT_ATTR_RDONLY};

/// The limit for one source: a server that is slow, but alive, answers in less.
constexpr std::chrono::seconds source_patience{10};

using Binds = decltype(OpenFiles::binds);

Binds open_binds(const std::vector<PinnedMount>& mounts) {
  Binds binds;
  for (const PinnedMount& mount : mounts) {
    BindSource source = step("mount source", [&] {
      return open_bind_source({mount.source, mount.recursive, mount.follow_host, mount.overlay},
                              source_patience);
    });
    const int tree = source.tree.get();
    if (mount.read_only) change_mount(tree, read_only, false);
    if (mount.tree_read_only) {
      change_mount(tree, *mount.tree_read_only ? read_only : writable, true);
    }
    const bool asked_read_only = mount.read_only || mount.tree_read_only.value_or(false);
    binds.emplace(mount.number, VolumeSource{std::move(source), mount.is_kept, asked_read_only});
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
    return bind == binds.end() || bind->second.file.directory;
  });
  change_mount(tree.get(), read_only, false);
  return tree;
}

/// Makes a container's folder: shared/<id>, with the mount point of its rootfs, and "mounts" for the links to volumes.
void make_folders(int share, const std::string& id) {
  make_folder(share, id, 0700);
  make_folder(share, id + "/rootfs", 0755);
  make_folder(share, id + "/mounts", 0700);
}

/// Removes what make_folders made, and the links. A mount point of a mount that is still there is busy: its content
/// cannot be reached by mistake.
void remove_folders(int share, const std::string& id) {
  const UniqueFd folder = find_folder(share, id);
  if (!folder) return;
  if (const UniqueFd mounts = find_folder(folder.get(), "mounts"))
    for (const std::string& name : names_in(mounts.get())) remove_from_share(mounts.get(), name);
  for (const char* name : {"mounts", "rootfs"}) remove_from_share(folder.get(), name);
  remove_from_share(share, id);
}

PinnedBinds link_volumes(const VmPaths& paths, const std::string& id, int share,
                         const Binds& binds) {
  std::map<std::size_t, std::string> added;
  for (const auto& [number, bind] : binds) added[number] = add_volume(paths, share, bind.file);
  const VolumeTable table(paths);
  PinnedBinds pinned;
  for (const auto& [number, bind] : binds) {
    const std::string shared = table.find_shared(added.at(number), bind.asked_read_only, added);
    link_volume(share, id, number, shared);
    if (bind.is_kept) keep_volume(share, shared);
    if (table.has_mounts_below(shared)) pinned.with_mounts_below.push_back(number);
    if (!bind.file.options.empty()) pinned.options[number] = bind.file.options;
    for (const std::string& vm : table.other_writers(shared))
      log(LogLevel::warning, "mounts[" + std::to_string(number) + "].source: VM " + vm +
                                 " can write there, too, and locks hold within one VM only");
  }
  return pinned;
}

}  // namespace

OpenFiles open_files(const fs::path& rootfs, const GuestPlan& plan) {
  OpenFiles files{.rootfs = {}, .binds = open_binds(plan.binds)};
  files.rootfs = open_rootfs(rootfs, plan.spec, files.binds);
  return files;
}

PinnedBinds pin_files(const VmPaths& paths, const std::string& id, const OpenFiles& files) {
  const UniqueFd share = writable_share(paths);
  make_folders(share.get(), id);
  attach_mount(files.rootfs.get(), paths.rootfs(id));
  const PinnedBinds pinned = link_volumes(paths, id, share.get(), files.binds);
  remove_unused_volumes(paths, share.get());
  return pinned;
}

void unpin_files(const VmPaths& paths, const std::string& id) {
  const UniqueFd visible{
      ::open(paths.shared().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
  if (!visible && errno == ENOENT) return;
  check_sys(visible.get(), "open " + paths.shared().string());
  const UniqueFd share = writable_share(paths);
  // The outermost mounts alone: they lie in the share's own tmpfs, whose names nobody but husk can
  // change. What is mounted below goes with them; its names may belong to a user of the host.
  if (const UniqueFd folder = find_folder(visible.get(), id)) {
    detach_mounts_on(folder.get(), "rootfs");
    // A husk of before mounted the binds here.
    if (const UniqueFd mounts = find_folder(folder.get(), "mounts"))
      for (const std::string& name : names_in(mounts.get())) detach_mounts_on(mounts.get(), name);
  }
  remove_folders(share.get(), id);
  remove_unused_volumes(paths, share.get());
}

}  // namespace husk::runtime
