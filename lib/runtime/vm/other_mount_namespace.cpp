// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/other_mount_namespace.hpp"

#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "lib/base/mount_namespace.hpp"
#include "lib/base/mountinfo.hpp"
#include "lib/hypervisor/daemon_namespace.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/runtime/host/mount_tree.hpp"

namespace husk::runtime {
namespace {

/// Identifies the directory that the VM's tmpfs is mounted in; empty if there is none.
std::optional<std::pair<dev_t, ino_t>> look_at_parent(const VmPaths& paths) {
  struct stat status {};
  if (::stat(paths.directory.parent_path().c_str(), &status) != 0) return std::nullopt;
  return std::pair(status.st_dev, status.st_ino);
}

}  // namespace

bool shows_vm_directory(const VmPaths& paths) {
  std::error_code none;
  // The table has no symbolic links in its paths.
  const std::filesystem::path share = std::filesystem::canonical(paths.shared(), none);
  if (none) return false;
  return std::ranges::any_of(
      load_mount_table("/proc/thread-self/mountinfo"),
      [&](const auto& mount) { return mount.mount_point == share && mount.is_plain_peer; });
}

bool shows_vm_directory_in(const VmPaths& paths, int mount_namespace) {
  bool shows = false;
  in_mount_namespace(mount_namespace, [&] { shows = shows_vm_directory(paths); });
  return shows;
}

bool shows_network_in(const std::filesystem::path& file, const NamespaceId& id,
                      int mount_namespace) {
  bool shows = false;
  in_mount_namespace(mount_namespace, [&] {
    try {
      shows = namespace_at(file, "net") == id;
    } catch (const Error&) {
      // Nothing is there, or no namespace: what the file is mounted on.
    }
  });
  return shows;
}

UniqueFd find_vm_directory(const VmPaths& paths, const std::string& uri) {
  if (!std::filesystem::exists(paths.directory) || shows_vm_directory(paths)) return {};
  UniqueFd daemons = hypervisor::daemons_mount_namespace(hypervisor::driver_for(uri).daemon());
  if (daemons && shows_vm_directory_in(paths, daemons.get())) return daemons;
  UniqueFd first = other_mount_namespace(1);
  if (first && shows_vm_directory_in(paths, first.get())) return first;
  return {};
}

Error other_mount_namespace_error(const VmPaths& paths) {
  return {Errc::unsupported,
          paths.directory.string() + ": is mounted in another mount namespace than husk's"};
}

void show_vm_directory(const VmPaths& paths, int mount_namespace) {
  if (shows_vm_directory_in(paths, mount_namespace)) return;
  const auto here = look_at_parent(paths);
  // A copy of a shared mount is its peer.
  const UniqueFd original = open_mount(paths.directory);
  set_propagation(original.get(), MS_SHARED, true);
  const UniqueFd peer = copy_mount(paths.directory, true);
  in_mount_namespace(mount_namespace, [&] {
    if (look_at_parent(paths) != here)
      throw Error(
          Errc::unsupported,
          paths.directory.parent_path().string() +
              ": is another directory in the mount namespace of libvirt's daemon or of systemd");
    mount_unbindable(paths.directory);
    attach_mount(peer.get(), paths.directory);
  });
}

}  // namespace husk::runtime
