// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/cgroup_hierarchies.hpp"

#include <map>
#include <sstream>

#include "lib/base/cgroup_directories.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
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

bool is_for(const Hierarchy& hierarchy, const std::string& controllers) {
  if (controllers.empty()) return hierarchy.v2;
  if (hierarchy.v2) return false;
  std::istringstream names(controllers);
  for (std::string name; std::getline(names, name, ',');) {
    if (("," + hierarchy.options + ",").find("," + name + ",") == std::string::npos) return false;
  }
  return true;
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

std::vector<MemberCgroup> find_cgroups_of(pid_t member) {
  const std::vector<Hierarchy> hierarchies = find_hierarchies();
  std::vector<MemberCgroup> found;
  std::istringstream lines(read_file("/proc/" + std::to_string(member) + "/cgroup", 65536));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::filesystem::path path = line.substr(second + 1);
    for (const Hierarchy& hierarchy : hierarchies)
      if (is_for(hierarchy, controllers))
        found.push_back({hierarchy, path == "/" ? hierarchy.mount_point
                                                : without_detour(hierarchy.mount_point /
                                                                 path.relative_path())});
  }
  return found;
}

}  // namespace husk::runtime
