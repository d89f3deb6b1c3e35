// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/mount_points.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <filesystem>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/text.hpp"
#include "lib/oci/device_node.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

/// The path without "." and "..", and without a slash at its end.
std::string normal(const std::string& path) {
  std::string made = fs::path("/" + path).lexically_normal().string();
  while (made.size() > 1 && made.back() == '/') made.pop_back();
  return made;
}

/// The kernel follows as many in one path (path_resolution(7)).
constexpr int max_links = 40;

/// False: something has that name. A guest that shares the VM may have just made a FIFO or a device node of
/// the name, whose opening would wait or act: O_EXCL opens neither.
bool make_file(int root, const fs::path& path) {
  const UniqueFd parent = open_in_root(root, path.parent_path().string(), O_PATH | O_DIRECTORY);
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const UniqueFd made{::openat(parent.get(), path.filename().c_str(), flags, 0755)};
  if (!made && errno != EEXIST) throw_errno("create " + path.string());
  return static_cast<bool>(made);
}

/// Returns where a symbolic link of that name leads; another file's own path. Not made shorter: what comes before ".."
/// may be a symbolic link.
fs::path follow_link(int root, const fs::path& path) {
  const UniqueFd link = find_in_root(root, path.string(), O_PATH | O_NOFOLLOW);
  std::array<char, PATH_MAX> target{};
  const ssize_t n = link ? ::readlinkat(link.get(), "", target.data(), target.size() - 1) : -1;
  return n > 0 ? path.parent_path() / target.data() : path;
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

/// The agent makes no device where /dev is the host's (runc: needsSetupDev).
bool has_bound_dev(const oci::Spec& spec) {
  return std::any_of(spec.mounts.begin(), spec.mounts.end(), [](const oci::Mount& mount) {
    return normal(mount.destination) == "/dev" && is_made_on_host(mount);
  });
}

/// Makes a device node; in a user namespace, which allows none, a file on which the agent binds the guest's node.
void make_device(int root, const oci::Device& device, bool in_user_namespace) {
  if (in_user_namespace) {
    open_mount_point(root, device.path, false);
  } else {
    oci::make_device_node(root, device);
  }
}

void make_devices(int root, const oci::Spec& spec) {
  if (has_bound_dev(spec)) return;
  const bool in_user_namespace = std::ranges::any_of(
      spec.linux_.namespaces, [](const auto& one) { return one.type == "user"; });
  for (const oci::Device& device : spec.linux_.devices) {
    if (is_inside_mount(spec, device.path)) continue;
    step("make device " + device.path, [&] { make_device(root, device, in_user_namespace); });
  }
}

}  // namespace

UniqueFd open_mount_point(int root, const std::string& destination, bool directory) {
  if (directory) return make_directories_in_root(root, destination, 0755);
  fs::path path = normal(destination);
  make_directories_in_root(root, path.parent_path().string(), 0755);
  for (int n = 0; n < max_links; ++n) {
    if (UniqueFd there = find_in_root(root, path.string(), O_PATH)) return there;
    if (!make_file(root, path))
      path = follow_link(root, path);  // into nothing, as it was not found
  }
  throw_errno("create " + path.string(), ELOOP);
}

UniqueFd open_filesystem_point(int root, const std::string& destination, const std::string& type) {
  if (type != "proc" && type != "sysfs") return open_mount_point(root, destination, true);
  // An image whose /proc is a link elsewhere would leave masked paths unmasked (CVE-2019-19921).
  UniqueFd point = make_ordinary_directory_in_root(root, destination, 0755);
  if (point) return point;
  throw Error(Errc::invalid_argument,
              "filesystem " + quote(type) + " must be mounted on ordinary directory");
}

void make_mount_points(int root, const oci::Spec& spec,
                       const std::function<bool(std::size_t)>& is_directory) {
  for (std::size_t n = 0; n < spec.mounts.size(); ++n) {
    const oci::Mount& mount = spec.mounts[n];
    const std::string& destination = mount.destination;
    if (is_inside_mount(spec, destination)) continue;
    step("mounts[" + std::to_string(n) + "].destination " + destination, [&] {
      if (oci::is_made_on_host(mount)) {
        open_mount_point(root, destination, is_directory(n));
        return;
      }
      if (mount.type == "tmpfs") make_tmpfs_point(root, destination);
      open_filesystem_point(root, destination, mount.type.value_or(""));
    });
  }
  make_devices(root, spec);
  if (!spec.process || is_inside_mount(spec, spec.process->cwd)) return;
  step("process.cwd", [&] { make_directories_in_root(root, spec.process->cwd, 0755); });
}

}  // namespace husk::runtime
