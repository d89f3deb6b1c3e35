// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/volumes.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <tuple>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/mountinfo.hpp"
#include "lib/base/random_id.hpp"
#include "lib/runtime/host/mount_tree.hpp"
#include "lib/runtime/vm/share_folders.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

const std::string folder_of_volumes = guestcomm::share_volumes;

/// Has links as a container's folder has; no container has this id.
const std::string kept_volumes = "@kept";

/// "device-inode" of a volume's name.
std::string identity_of(const std::string& name) { return name.substr(0, name.rfind('-')); }

/// The volume that the link leads to; empty for what is no link, as a husk of before made the binds.
std::string read_volume_link(int mounts, const std::string& number) {
  std::array<char, 256> target{};
  const ssize_t size = ::readlinkat(mounts, number.c_str(), target.data(), target.size());
  if (size < 0 && errno != EINVAL) throw_errno("read link " + number + " in the share");
  if (size < 0) return {};
  return fs::path(std::string(target.data(), static_cast<std::size_t>(size))).filename();
}

std::set<std::string> find_used_volumes(int share) {
  std::set<std::string> used;
  for (const std::string& id : names_in(find_folder(share, ".").get())) {
    if (id == guestcomm::share_secret_file || (id.starts_with('@') && id != kept_volumes)) continue;
    const UniqueFd mounts = find_folder(share, id + "/mounts");
    if (!mounts) continue;
    for (const std::string& number : names_in(mounts.get()))
      used.insert(read_volume_link(mounts.get(), number));
  }
  return used;
}

/// The path of a mount in a folder; empty where the mount is elsewhere.
std::string path_in(const fs::path& folder, const MountEntry& mount) {
  const std::string prefix = folder.string() + "/", point = mount.mount_point.string();
  return point.starts_with(prefix) ? point.substr(prefix.size()) : std::string();
}

bool is_read_only(const MountEntry& mount) { return mount.options.starts_with("ro"); }

/// The volume of a VM that the mount is.
struct VolumeOfVm {
  std::string vm, name;
};
/// Empty for another mount. path: below vm_directories.
std::optional<VolumeOfVm> volume_of_vm(const std::string& path) {
  const std::string middle = "/shared/" + folder_of_volumes + "/";
  const std::size_t at = path.find(middle);
  if (at == std::string::npos || path.find('/') != at) return std::nullopt;
  VolumeOfVm volume{path.substr(0, at), path.substr(at + middle.size())};
  if (volume.name.find('/') != std::string::npos) return std::nullopt;
  return volume;
}

}  // namespace

UniqueFd writable_share(const VmPaths& paths) {
  UniqueFd copy = copy_mount(paths.shared(), false);
  set_propagation(copy.get(), MS_PRIVATE, false);
  change_mount(copy.get(), {.set = 0, .clear = MOUNT_ATTR_RDONLY}, false);
  return copy;
}

std::string add_volume(const VmPaths& paths, int writable_share, const BindSource& source) {
  if (::mkdirat(writable_share, folder_of_volumes.c_str(), 0700) != 0 && errno != EEXIST)
    throw_errno("make directory " + folder_of_volumes + " in the share");
  const std::string name = source.identity + "-" + random_hex(4);
  const std::string point = folder_of_volumes + "/" + name;
  if (source.directory) {
    make_folder(writable_share, point, 0755);
  } else {
    write_new_file(writable_share, point, "", 0644);
  }
  attach_mount(source.tree.get(), paths.volumes() / name);
  return name;
}

void link_volume(int writable_share, const std::string& id, std::size_t number,
                 const std::string& volume) {
  const std::string link = id + "/mounts/" + std::to_string(number);
  const std::string target = "../../" + folder_of_volumes + "/" + volume;
  check_sys(::symlinkat(target.c_str(), writable_share, link.c_str()),
            "make link " + link + " in the share");
}

void keep_volume(int writable_share, const std::string& volume) {
  for (const std::string& folder : {kept_volumes, kept_volumes + "/mounts"})
    if (::mkdirat(writable_share, folder.c_str(), 0700) != 0 && errno != EEXIST)
      throw_errno("make directory " + folder + " in the share");
  const std::string link = kept_volumes + "/mounts/" + volume;
  if (::symlinkat(volume.c_str(), writable_share, link.c_str()) != 0 && errno != EEXIST)
    throw_errno("make link " + link + " in the share");
}

void remove_unused_volumes(const VmPaths& paths, int writable_share) {
  const UniqueFd folder = find_folder(writable_share, folder_of_volumes);
  if (!folder) return;
  const UniqueFd visible{
      check_sys(::open(paths.volumes().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW),
                "open volumes")};
  const std::set<std::string> used = find_used_volumes(writable_share);
  for (const std::string& name : names_in(folder.get())) {
    if (used.contains(name)) continue;
    detach_mounts_on(visible.get(), name);
    remove_from_share(folder.get(), name);
  }
}

VolumeTable::VolumeTable(const VmPaths& paths) {
  // The table's paths are those of the kernel, whichever links lead to the VM's directory.
  const fs::path own = fs::canonical(paths.directory), vms = own.parent_path();
  for (const MountEntry& mount : load_mount_table("/proc/thread-self/mountinfo")) {
    if (const std::string path = path_in(own / "shared" / folder_of_volumes, mount);
        !path.empty()) {
      add(path, mount);
    } else if (const auto volume = volume_of_vm(path_in(vms, mount));
               volume && !is_read_only(mount)) {
      others_.emplace(identity_of(volume->name), volume->vm);
    }
  }
}

/// path: of the mount, below the folder of volumes.
void VolumeTable::add(const std::string& path, const MountEntry& mount) {
  // The table lists a mount before those that are mounted on it.
  const std::string name = path.substr(0, path.find('/'));
  const auto known = std::ranges::find(volumes_, name, &Volume::name);
  if (known != volumes_.end()) {
    known->has_mounts_below = true;
    return;
  }
  volumes_.push_back({.name = name,
                      .read_only = is_read_only(mount),
                      .options = mount.options.substr(2),
                      .master = mount.master});
}

const VolumeTable::Volume& VolumeTable::at(const std::string& name) const {
  const auto found = std::ranges::find(volumes_, name, &Volume::name);
  if (found == volumes_.end()) throw Error(Errc::internal, "volume " + name + ": is not mounted");
  return *found;
}

bool VolumeTable::is_alike(const Volume& one, const Volume& other) {
  return identity_of(one.name) == identity_of(other.name) && one.options == other.options &&
         one.master == other.master && !one.has_mounts_below && !other.has_mounts_below &&
         // The table does not say by which mapping.
         other.options.find("idmapped") == std::string::npos;
}

std::string VolumeTable::find_shared(const std::string& name, bool asked_read_only,
                                     const std::map<std::size_t, std::string>& added) const {
  const auto is_added = [&](const Volume& volume) {
    return std::ranges::any_of(added, [&](const auto& one) { return one.second == volume.name; });
  };
  const auto rank = [&](const Volume& volume) {
    return std::tuple(volume.read_only, is_added(volume), volume.name);
  };
  const Volume& own = at(name);
  const Volume* best = &own;
  for (const Volume& volume : volumes_) {
    const bool is_good = is_alike(volume, own) &&
                         (volume.read_only == own.read_only || (own.read_only && asked_read_only));
    if (is_good && rank(volume) < rank(*best)) best = &volume;
  }
  return best->name;
}

bool VolumeTable::has_mounts_below(const std::string& name) const {
  return at(name).has_mounts_below;
}

std::set<std::string> VolumeTable::other_writers(const std::string& name) const {
  std::set<std::string> vms;
  if (at(name).read_only) return vms;
  const auto [first, last] = others_.equal_range(identity_of(name));
  for (auto other = first; other != last; ++other) vms.insert(other->second);
  return vms;
}

}  // namespace husk::runtime
