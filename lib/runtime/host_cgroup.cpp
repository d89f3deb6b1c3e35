// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host_cgroup.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

struct Hierarchy {
  fs::path mount_point;
  bool v2 = false;
};

std::vector<Hierarchy> find_hierarchies() {
  std::vector<Hierarchy> found;
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string skipped, mount_point, type;
    for (int field = 0; field < 4; ++field) fields >> skipped;
    fields >> mount_point;
    while (skipped != "-" && fields >> skipped) continue;  // optional fields end with a dash
    fields >> type;
    if (type == "cgroup" || type == "cgroup2") found.push_back({mount_point, type == "cgroup2"});
  }
  if (found.empty()) throw Error(Errc::unsupported, "this host has no cgroup file system mounted");
  return found;
}

/// A v1 cpuset takes no process before its CPUs and memory nodes are set.
void inherit_cpuset(const fs::path& directory) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    std::error_code error;
    if (!fs::exists(directory / file, error)) return;
    std::string own = read_file(directory / file, 4096);
    if (own.find_first_not_of(" \n") != std::string::npos) continue;
    write_existing(directory / file, read_file(directory.parent_path() / file, 4096));
  }
}

/// So that memory.events and the like are there for callers to read. What the host does not
/// delegate stays off.
void enable_controllers(const fs::path& directory) {
  for (const char* controller : {"+cpu", "+memory", "+pids", "+io", "+cpuset"}) {
    try {
      write_existing(directory / "cgroup.subtree_control", controller);
    } catch (const Error&) {
      continue;  // not available here, or processes in this cgroup itself
    }
  }
}

/// "a-b.slice" lies in "a.slice" (systemd.slice(5)).
std::string expand_slice(const std::string& slice) {
  if (slice.empty() || slice == "-.slice") return "";
  const std::string stem = slice.substr(0, slice.rfind(".slice"));
  std::string path, prefix;
  std::istringstream parts(stem);
  for (std::string part; std::getline(parts, part, '-');) {
    prefix += (prefix.empty() ? "" : "-") + part;
    path += "/" + prefix + ".slice";
  }
  return path;
}

}  // namespace

std::string cgroup_path(const std::string& cgroups_path, const std::string& id, bool systemd) {
  std::string path = cgroups_path.empty() ? "/husk/" + id : cgroups_path;
  const std::size_t first = cgroups_path.find(':'), second = cgroups_path.find(':', first + 1);
  if (systemd && first != std::string::npos && second != std::string::npos) {
    const std::string prefix = cgroups_path.substr(first + 1, second - first - 1);
    std::string name = cgroups_path.substr(second + 1);
    if (!name.ends_with(".slice")) name = (prefix.empty() ? "" : prefix + "-") + name + ".scope";
    path = expand_slice(cgroups_path.substr(0, first)) + "/" + name;
  }
  for (const fs::path& part : fs::path(path)) {
    if (part == "..") throw Error(Errc::invalid_argument, "linux.cgroupsPath: contains \"..\"");
  }
  if (!path.starts_with('/')) path.insert(path.begin(), '/');
  if (fs::path(path).lexically_normal() == "/") {
    throw Error(Errc::invalid_argument, "linux.cgroupsPath: is the root cgroup");
  }
  return path;
}

HostCgroup::HostCgroup(const std::string& path) {
  try {
    for (const Hierarchy& hierarchy : find_hierarchies())
      make(hierarchy.mount_point, path, hierarchy.v2);
  } catch (...) {
    remove_cgroups(made_);
    throw;
  }
}

HostCgroup::~HostCgroup() {
  if (!keep_) remove_cgroups(made_);
}

void HostCgroup::make(const fs::path& mount_point, const std::string& path, bool v2) {
  fs::path directory = mount_point;
  for (const fs::path& part : fs::path(path).lexically_normal().relative_path()) {
    if (part.empty()) continue;
    if (v2) enable_controllers(directory);
    directory /= part;
    // The folder of containers without a cgroupsPath is husk's own: the last of them takes it away,
    // whoever made it.
    const bool own_parent = directory == mount_point / "husk";
    if (::mkdir(directory.c_str(), 0755) == 0 || (errno == EEXIST && own_parent)) {
      made_.push_back(directory);
    } else if (errno != EEXIST) {
      throw_errno("make cgroup " + directory.string());
    }
    inherit_cpuset(directory);
  }
  leaves_.push_back(directory);
}

void HostCgroup::add(pid_t pid) const {
  for (const fs::path& leaf : leaves_) write_existing(leaf / "cgroup.procs", std::to_string(pid));
}

void remove_cgroups(const std::vector<fs::path>& directories) noexcept {
  for (auto it = directories.rbegin(); it != directories.rend(); ++it) {
    const fs::path& directory = *it;
    // A process that just ended leaves its cgroup a moment later.
    for (int attempt = 0; attempt < 50; ++attempt) {
      if (::rmdir(directory.c_str()) == 0 || errno != EBUSY) break;
      std::ifstream processes(directory / "cgroup.procs");
      const bool has_children = [&] {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(directory, ignored)) {
          if (entry.is_directory(ignored)) return true;
        }
        return false;
      }();
      if (has_children) break;  // another container's, below a parent that husk made
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
}

void remove_machine_cgroups(const std::string& vm_name) noexcept {
  std::error_code error;
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup", error)) {
    std::error_code missing;
    for (const auto& machine : fs::directory_iterator(hierarchy.path() / "machine", missing)) {
      if (!machine.path().filename().string().ends_with("-" + vm_name + ".libvirt-qemu")) continue;
      std::vector<fs::path> directories{machine.path()};
      for (const auto& part : fs::directory_iterator(machine.path(), missing)) {
        if (part.is_directory(missing)) directories.push_back(part.path());
      }
      remove_cgroups(directories);
    }
  }
}

}  // namespace husk::runtime
