// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host_root.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/runtime/mount_points.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

/// Whether `mount` lies inside a mount that only the guest has (tmpfs on /dev, say): making its
/// mount point on the host would litter the image's rootfs.
bool is_inside_guest_mount(const oci::Spec& spec, const oci::Mount& mount) {
  const std::string path = fs::path(mount.destination).lexically_normal().string();
  return std::any_of(spec.mounts.begin(), spec.mounts.end(), [&](const oci::Mount& other) {
    const std::string parent = fs::path(other.destination).lexically_normal().string();
    return !is_bind(other) && path.starts_with(parent + "/");
  });
}

void bind_into(int root, const fs::path& source, const oci::Mount& mount) {
  struct stat status {};
  check_sys(::stat(source.c_str(), &status), "stat " + source.string());
  const UniqueFd target = open_mount_point(root, mount.destination, S_ISDIR(status.st_mode));
  // Read-only where it is so in the share: a bind has its source's attributes.
  check_sys(
      ::mount(source.c_str(), fd_path(target.get()).c_str(), nullptr, MS_BIND | MS_REC, nullptr),
      "bind to " + mount.destination);
}

void mount_proc(int root, const oci::Mount& mount) {
  const UniqueFd target = make_directories_in_root(root, mount.destination, 0755);
  check_sys(::mount("proc", fd_path(target.get()).c_str(), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                    nullptr),
            "mount proc");
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

void enter_host_root(const VmPaths& paths, const std::string& id, const oci::Spec& spec) {
  check_sys(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
  const UniqueFd root{
      check_sys(::open(paths.rootfs(id).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open rootfs")};
  for (std::size_t n = 0; n < spec.mounts.size(); ++n) {
    const oci::Mount& mount = spec.mounts[n];
    if (is_inside_guest_mount(spec, mount)) continue;
    if (is_bind(mount)) bind_into(root.get(), paths.mount(id, n), mount);
    if (mount.type == "proc") mount_proc(root.get(), mount);
  }
  pivot_to(root.get());
}

}  // namespace husk::runtime
