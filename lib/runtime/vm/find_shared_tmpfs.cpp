// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/find_shared_tmpfs.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <ranges>
#include <sstream>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/mountinfo.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

fs::path without_slash(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

bool is_shm(const oci::Mount& mount) { return without_slash(mount.destination) == "/dev/shm"; }

/// ".../volumes/kubernetes.io~empty-dir/NAME", as kubelet calls them.
bool is_empty_dir(const oci::Mount& mount) {
  const fs::path kind = without_slash(*mount.source).parent_path();
  return kind.filename() == "kubernetes.io~empty-dir" && kind.parent_path().filename() == "volumes";
}

/// Whether the bind may have a source of that kind, by its paths alone.
bool is_candidate(const oci::Mount& mount) {
  return is_bind(mount) && mount.source && fs::path(*mount.source).is_absolute() &&
         (is_shm(mount) || is_empty_dir(mount));
}

/// The whole of a tmpfs that is mounted there. The table is asked, not the path: a file system that does not respond
/// would hold husk up.
std::optional<MountEntry> find_tmpfs_at(const fs::path& path,
                                        const std::vector<MountEntry>& table) {
  for (const MountEntry& mount : table | std::views::reverse) {  // the last one is on top
    if (mount.mount_point != path) continue;
    if (mount.type != "tmpfs" || mount.root != "/") break;
    return mount;
  }
  return std::nullopt;
}

std::string host_shm() {
  struct stat status {};
  if (::stat("/dev/shm", &status) != 0) return {};
  return std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
}

std::vector<std::string> options_of(const MountEntry& mount, const struct stat& root) {
  std::vector<std::string> options;
  for (const auto word : std::views::split(mount.options, ',')) {
    const std::string_view option(word.begin(), word.end());
    if (option == "nosuid" || option == "nodev" || option == "noexec") options.emplace_back(option);
  }
  for (const auto word : std::views::split(mount.super_options, ',')) {
    const std::string_view option(word.begin(), word.end());
    // None: half of the memory. "size=0k": no limit, which in the guest is half of the memory as well.
    if (option.starts_with("size=") && option != "size=0k") options.emplace_back(option);
  }
  std::ostringstream mode;
  mode << "mode=" << std::oct << (root.st_mode & 07777);
  options.push_back(mode.str());
  options.push_back("uid=" + std::to_string(root.st_uid));
  options.push_back("gid=" + std::to_string(root.st_gid));
  return options;
}

}  // namespace

std::vector<guestcomm::SharedTmpfs> find_shared_tmpfs(const oci::Spec& spec) {
  std::vector<guestcomm::SharedTmpfs> found;
  if (std::ranges::none_of(spec.mounts, is_candidate)) return found;
  const std::vector<MountEntry> table = load_mount_table();
  for (std::size_t n = 0; n < spec.mounts.size(); ++n) {
    const oci::Mount& mount = spec.mounts[n];
    if (!is_candidate(mount)) continue;
    const fs::path source = without_slash(*mount.source);
    const std::optional<MountEntry> tmpfs = find_tmpfs_at(source, table);
    if (!tmpfs || tmpfs->device == host_shm()) continue;
    struct stat root {};
    check_sys(::stat(source.c_str(), &root), "stat " + source.string());
    if (!fs::is_empty(source)) continue;
    found.push_back({.mount = n,
                     .name = tmpfs->device,
                     .options = options_of(*tmpfs, root),
                     .is_kept = is_empty_dir(mount)});
  }
  return found;
}

}  // namespace husk::runtime
