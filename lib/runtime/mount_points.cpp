// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/mount_points.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

/// Without "." and "..", and without a slash at its end.
std::string normal(const std::string& path) {
  std::string made = fs::path("/" + path).lexically_normal().string();
  while (made.size() > 1 && made.back() == '/') made.pop_back();
  return made;
}

bool is_inside_mount(const oci::Spec& spec, const std::string& path) {
  return std::any_of(spec.mounts.begin(), spec.mounts.end(), [&](const oci::Mount& mount) {
    return normal(path).starts_with(normal(mount.destination) + "/");
  });
}

/// The guest gives a tmpfs the mode of its mount point. Where the image has none, that has to be the
/// kernel's default for a tmpfs, as under runc.
void make_tmpfs_point(int root, const std::string& destination) {
  if (find_in_root(root, destination, O_PATH | O_DIRECTORY)) return;
  const UniqueFd made = make_directories_in_root(root, destination, 0755);
  check_sys(::chmod(fd_path(made.get()).c_str(), 01777), "chmod");
}

}  // namespace

UniqueFd open_mount_point(int root, const std::string& destination, bool directory) {
  if (directory) return make_directories_in_root(root, destination, 0755);
  const fs::path path = normal(destination);
  make_directories_in_root(root, path.parent_path().string(), 0755);
  if (UniqueFd there = find_in_root(root, path.string(), O_PATH)) return there;
  open_in_root(root, path.string(), O_WRONLY | O_CREAT, 0755);
  return open_in_root(root, path.string(), O_PATH);
}

void make_mount_points(int root, const oci::Spec& spec,
                       const std::function<bool(std::size_t)>& is_directory) {
  for (std::size_t n = 0; n < spec.mounts.size(); ++n) {
    const oci::Mount& mount = spec.mounts[n];
    if (is_inside_mount(spec, mount.destination)) continue;
    step("mounts[" + std::to_string(n) + "].destination " + mount.destination, [&] {
      if (mount.type == "tmpfs" && !is_bind(mount)) make_tmpfs_point(root, mount.destination);
      open_mount_point(root, mount.destination, is_directory(n));
    });
  }
  if (!spec.process || is_inside_mount(spec, spec.process->cwd)) return;
  step("process.cwd", [&] { make_directories_in_root(root, spec.process->cwd, 0755); });
}

}  // namespace husk::runtime
