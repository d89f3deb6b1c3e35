// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/cgroup_hierarchies.hpp"

#include <map>

#include "lib/base/error.hpp"
#include "lib/base/mountinfo.hpp"

namespace husk::runtime {
namespace {

Hierarchy to_hierarchy(const MountEntry& mount) {
  const bool v2 = mount.type == "cgroup2";
  return {.mount_point = mount.mount_point,
          .v2 = v2,
          .systemds = v2 || mount.super_options.find("name=systemd") != std::string::npos,
          .options = mount.super_options};
}

}  // namespace

std::vector<Hierarchy> find_hierarchies() {
  std::map<std::string, MountEntry> by_device;
  for (const MountEntry& mount : load_mount_table()) {
    if (mount.type != "cgroup" && mount.type != "cgroup2") continue;
    const auto [known, is_new] = by_device.try_emplace(mount.device, mount);
    if (!is_new && known->second.root != "/" && mount.root == "/") known->second = mount;
  }
  if (by_device.empty())
    throw Error(Errc::unsupported, "this host has no cgroup file system mounted");
  std::vector<Hierarchy> found;
  found.reserve(by_device.size());
  for (const auto& [device, mount] : by_device) found.push_back(to_hierarchy(mount));
  return found;
}

}  // namespace husk::runtime
