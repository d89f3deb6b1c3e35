// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/rootfs.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/setup/mount_calls.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

/// Returns nothing if there is no such path: what does not exist needs no hiding.
UniqueFd find_path(int root_fd, const std::string& path) {
  try {
    return find_in_root(root_fd, path, O_PATH);
  } catch (const Error& error) {
    if (error.sys_errno() == ENOTDIR) return {};
    throw;
  }
}

/// The one empty, unwritable file system that covers all masked directories.
UniqueFd empty_filesystem() {
  MountOptions options;
  options.filesystem = {{"nr_blocks", "1"}, {"nr_inodes", "1"}};
  UniqueFd empty = new_filesystem("tmpfs", "tmpfs", options);
  set_attributes(empty.get(), {MOUNT_ATTR_RDONLY, 0}, false);
  return empty;
}

}  // namespace

UniqueFd apply_rootfs(const oci::Spec& spec) {
  const std::string& path = spec.root->path;
  // Slave, so that nothing mounted here is seen by the agent; pivot_root refuses shared mounts
  // anyway.
  check_sys(::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr), "make / a slave mount");
  const UniqueFd place{
      check_sys(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open rootfs " + path)};
  UniqueFd root = clone_mount(place.get(), "", true);
  attach_mount(root.get(), place.get());
  return root;
}

void apply_pivot(int root_fd) {
  check_sys(::fchdir(root_fd), "change to rootfs");
  // pivot_root(".", ".") stacks the old root on the new one; unmounting "." then takes it away
  // (pivot_root(2)), and no directory for it is needed in the image.
  check_sys(::syscall(SYS_pivot_root, ".", "."), "pivot_root");
  check_sys(::umount2(".", MNT_DETACH), "detach the old root");
  check_sys(::chdir("/"), "change to /");
}

void apply_rootfs_propagation(int root_fd, const std::optional<std::string>& propagation) {
  if (!propagation || propagation->empty()) return;
  const auto change = find_propagation(*propagation);
  if (!change) {
    throw Error(Errc::invalid_argument, "linux.rootfsPropagation: unknown value " + *propagation);
  }
  set_propagation(root_fd, *change);
}

void apply_readonly_root(int root_fd) {
  step("make / read-only", [&] { set_attributes(root_fd, {MOUNT_ATTR_RDONLY, 0}, false); });
}

void apply_masked_paths(int root_fd, int null_fd, const std::vector<std::string>& paths) {
  UniqueFd empty;
  for (const std::string& path : paths) {
    step("mask " + path, [&] {
      const UniqueFd target = find_path(root_fd, path);
      if (!target) return;
      UniqueFd cover;
      if (is_directory(target.get())) {
        // Only an attached mount can be copied, so the first one made is also used itself.
        cover = empty ? clone_mount(empty.get(), "", false) : empty_filesystem();
      } else {
        cover = clone_mount(null_fd, "", false);
        // The container could else change the mode and owner of the agent's /dev/null.
        set_attributes(cover.get(), {MOUNT_ATTR_RDONLY, 0}, false);
      }
      attach_mount(cover.get(), target.get());
      if (!empty && is_directory(target.get())) empty = std::move(cover);
    });
  }
}

void apply_readonly_paths(int root_fd, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    step("make " + path + " read-only", [&] {
      const UniqueFd target = find_path(root_fd, path);
      if (!target) return;
      const UniqueFd copy = clone_mount(target.get(), "", true);
      set_attributes(copy.get(), {MOUNT_ATTR_RDONLY, 0}, false);
      attach_mount(copy.get(), target.get());
    });
  }
}

void apply_working_directory(int root_fd, const std::string& cwd) {
  step("make process.cwd " + cwd, [&] { make_directories_in_root(root_fd, cwd, 0755); });
}

}  // namespace husk::agent
