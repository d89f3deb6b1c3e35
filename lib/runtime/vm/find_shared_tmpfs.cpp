// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/find_shared_tmpfs.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <ranges>
#include <sstream>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/mountinfo.hpp"
#include "lib/base/unique_fd.hpp"

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
bool is_empty_dir(const fs::path& path) {
  const fs::path kind = path.parent_path();
  return kind.filename() == "kubernetes.io~empty-dir" && kind.parent_path().filename() == "volumes";
}

/// The emptyDir that the path is, or is in.
std::optional<fs::path> find_empty_dir(fs::path path) {
  for (; path.has_relative_path(); path = path.parent_path())
    if (is_empty_dir(path)) return path;
  return std::nullopt;
}

/// ".../volume-subpaths/VOLUME/CONTAINER/NUMBER", where kubelet binds a part of a volume.
bool is_subpath(const fs::path& path) {
  return path.parent_path().parent_path().parent_path().filename() == "volume-subpaths";
}

/// Whether the bind may have a source of that kind, by its paths alone.
bool is_candidate(const oci::Mount& mount) {
  if (!is_bind(mount) || !mount.source || !fs::path(*mount.source).is_absolute()) return false;
  const fs::path source = without_slash(*mount.source);
  return is_shm(mount) || find_empty_dir(source) || is_subpath(source);
}

using Table = std::vector<MountEntry>;

/// A tmpfs that is mounted there. The table is asked, not the path: a file system that does not respond would hold husk
/// up.
std::optional<MountEntry> find_tmpfs_at(const fs::path& path, const Table& table) {
  for (const MountEntry& mount : table | std::views::reverse) {  // the last one is on top
    if (mount.mount_point != path) continue;
    return mount.type == "tmpfs" ? std::optional(mount) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<MountEntry> find_whole_at(const fs::path& path, const Table& table) {
  std::optional<MountEntry> mount = find_tmpfs_at(path, table);
  return mount && mount->root == "/" ? mount : std::nullopt;
}

/// The emptyDir of which kubelet has bound a part.
std::optional<MountEntry> find_empty_dir_of(const MountEntry& part, const Table& table) {
  for (const MountEntry& mount : table) {
    if (mount.device != part.device || !is_empty_dir(mount.mount_point)) continue;
    const auto whole = find_whole_at(mount.mount_point, table);
    if (whole && whole->device == part.device) return whole;
  }
  return std::nullopt;
}

/// What a bind shows.
struct Shown {
  MountEntry whole;
  std::optional<fs::path> part{};  ///< its path below the root
};

std::optional<Shown> find_shown(const oci::Mount& mount, const Table& table) {
  const fs::path source = without_slash(*mount.source);
  if (is_shm(mount) || is_empty_dir(source))
    if (const auto whole = find_whole_at(source, table)) return Shown{*whole};
  std::optional<MountEntry> whole;
  fs::path part;
  if (is_subpath(source)) {
    const auto bound = find_tmpfs_at(source, table);
    if (bound) whole = find_empty_dir_of(*bound, table), part = bound->root;
  } else if (const auto directory = find_empty_dir(source); directory && source != *directory) {
    whole = find_whole_at(*directory, table), part = "/" / source.lexically_relative(*directory);
  }
  return whole ? std::optional(Shown{*whole, part}) : std::nullopt;
}

/// Whether anything but directories is there. Counts an emptyDir with more of them than kubelet makes as well.
bool has_files(const MountEntry& tmpfs, const Table& table) {
  constexpr int most_directories = 256;
  const std::string below = tmpfs.mount_point.string() + "/";
  for (const MountEntry& mount : table)
    if (mount.mount_point.string().starts_with(below)) return true;
  const bool directories_count = !is_empty_dir(tmpfs.mount_point);
  int count = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(tmpfs.mount_point, error), end;
       !error && entry != end; entry.increment(error))
    if (directories_count || entry->is_symlink() || !entry->is_directory() ||
        ++count > most_directories)
      return true;
  if (error) throw_errno("list " + tmpfs.mount_point.string(), error.value());
  return false;
}

/// Opens what is there. A link or another mount on the way ends the search: a file system that does not answer is not
/// asked.
UniqueFd find_on_same_mount(int root, const fs::path& path) {
  struct open_how how {};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  return UniqueFd{static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how))};
}

/// Empty: the part is no directory.
std::optional<guestcomm::TmpfsPart> find_part(const MountEntry& whole, const fs::path& path) {
  const std::string& place = whole.mount_point.native();
  const UniqueFd root{
      check_sys(::open(place.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open " + place)};
  const UniqueFd found = find_on_same_mount(root.get(), path);
  struct stat status {};
  if (!found || ::fstat(found.get(), &status) != 0 || !S_ISDIR(status.st_mode)) return std::nullopt;
  return guestcomm::TmpfsPart{.path = path,
                              .mode = static_cast<std::uint16_t>(status.st_mode & 07777),
                              .uid = status.st_uid,
                              .gid = status.st_gid};
}

std::string host_shm() {
  struct stat status {};
  if (::stat("/dev/shm", &status) != 0) return {};
  return std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
}

std::vector<std::string> options_of(const MountEntry& mount) {
  struct stat root {};
  check_sys(::stat(mount.mount_point.c_str(), &root), "stat " + mount.mount_point.string());
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

std::optional<guestcomm::SharedTmpfs> find_tmpfs_for(const oci::Mount& mount, const Table& table,
                                                     const std::vector<std::string>& in_guest) {
  const std::optional<Shown> shown = find_shown(mount, table);
  if (!shown || shown->whole.device == host_shm()) return std::nullopt;
  const MountEntry& whole = shown->whole;
  const bool is_known = std::ranges::find(in_guest, whole.device) != in_guest.end();
  if (!is_known && has_files(whole, table)) return std::nullopt;
  guestcomm::SharedTmpfs shared{.name = whole.device,
                                .options = options_of(whole),
                                .is_kept = is_empty_dir(whole.mount_point)};
  if (!shown->part) return shared;
  shared.part = find_part(whole, *shown->part);
  return shared.part ? std::optional(std::move(shared)) : std::nullopt;
}

}  // namespace

std::vector<guestcomm::SharedTmpfs> find_shared_tmpfs(const oci::Spec& spec,
                                                      const std::vector<std::string>& in_guest) {
  std::vector<guestcomm::SharedTmpfs> found;
  if (std::ranges::none_of(spec.mounts, is_candidate)) return found;
  const Table table = load_mount_table();
  for (std::size_t n = 0; n < spec.mounts.size(); ++n) {
    if (!is_candidate(spec.mounts[n])) continue;
    auto shared = find_tmpfs_for(spec.mounts[n], table, in_guest);
    if (!shared) continue;
    shared->mount = n;
    found.push_back(std::move(*shared));
  }
  return found;
}

}  // namespace husk::runtime
