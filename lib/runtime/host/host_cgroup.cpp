// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/host_cgroup.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <thread>

#include "lib/base/cgroup_directories.hpp"
#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/runtime/host/cgroup_hierarchies.hpp"
#include "lib/runtime/host/cgroup_look.hpp"
#include "lib/runtime/host/device_list.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

/// A v1 cpuset takes no process before its CPUs and memory nodes are set. (In v2 an empty one means
/// the parent's, and the root has no such files at all.)
void inherit_cpuset(const fs::path& directory) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    std::error_code error;
    if (!fs::exists(directory / file, error)) return;
    std::string own = read_file(directory / file, 4096);
    if (own.find_first_not_of(" \n") != std::string::npos) continue;
    write_existing(directory / file, read_file(directory.parent_path() / file, 4096));
  }
}

/// Makes memory.events and the like exist, for callers to read. What the host does not
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

std::string checked_path(const std::string& cgroups_path) {
  for (const fs::path& part : fs::path(cgroups_path)) {
    if (part == "..") throw Error(Errc::invalid_argument, "linux.cgroupsPath: contains \"..\"");
  }
  std::string path = cgroups_path.starts_with('/') ? cgroups_path : "/" + cgroups_path;
  if (fs::path(path).lexically_normal() == "/")
    throw Error(Errc::invalid_argument, "linux.cgroupsPath: is the root cgroup");
  return path;
}

/// Tells the unit of this container from one of the same name that is another's, also from that of a
/// container of the same id under another root.
std::string description_of(const CgroupOwner& owner) {
  return "husk container " + owner.container + " in VM " + owner.vm;
}

/// "slice:prefix:name", as runc reads it.
CgroupPlan plan_unit(const std::string& cgroups_path, const CgroupOwner& owner) {
  const std::string whole = cgroups_path.empty() ? ":husk:" + owner.container : cgroups_path;
  const std::size_t first = whole.find(':'), second = whole.find(':', first + 1);
  const bool three_parts = first != std::string::npos && second != std::string::npos &&
                           whole.find(':', second + 1) == std::string::npos;
  if (!three_parts) {
    throw Error(Errc::invalid_argument,
                "linux.cgroupsPath: expected the form \"slice:prefix:name\" for systemd cgroups, "
                "got \"" +
                    whole + "\" instead");
  }
  systemd::ScopePlan unit{.name = whole.substr(second + 1),
                          .slice = whole.substr(0, first),
                          .description = description_of(owner),
                          .properties = {}};
  const std::string prefix = whole.substr(first + 1, second - first - 1);
  if (!unit.name.ends_with(".slice"))
    unit.name = (prefix.empty() ? "" : prefix + "-") + unit.name + ".scope";
  if (unit.slice.empty()) unit.slice = "system.slice";
  const std::string path = checked_path(expand_slice(unit.slice) + "/" + unit.name);
  return {path, std::move(unit)};
}

/// While a kill is counted (count_oom_kill.hpp), cgroup v2 lets no process in.
void enter(const fs::path& leaf, pid_t pid) {
  const Deadline deadline(std::chrono::seconds{2});
  for (;;) {
    try {
      return write_existing(leaf / "cgroup.procs", std::to_string(pid));
    } catch (const Error& e) {
      if (e.sys_errno() != EBUSY || deadline.passed()) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
}

/// An error in runc's words.
void warn_of_others(const std::vector<fs::path>& leaves) {
  if (const std::size_t count = count_processes(leaves))
    log(LogLevel::warning,
        "container's cgroup is not empty: " + std::to_string(count) + " process(es) found");
}

}  // namespace

CgroupPlan plan_cgroup(const std::string& cgroups_path, const CgroupOwner& owner, bool systemd,
                       const std::map<std::string, std::string>& annotations) {
  if (!systemd)
    return {checked_path(cgroups_path.empty() ? "/husk/" + owner.container : cgroups_path),
            std::nullopt};
  CgroupPlan plan = plan_unit(cgroups_path, owner);
  plan.scope->properties = systemd::unit_properties(annotations);
  return plan;
}

HostCgroup::HostCgroup(CgroupPlan plan) : plan_(std::move(plan)) {
  try {
    for (const Hierarchy& hierarchy : find_hierarchies()) {
      if (plan_.scope && hierarchy.systemds) {
        leaves_.push_back(hierarchy.mount_point / fs::path(plan_.path).relative_path());
        unrestricted_.push_back({leaves_.back(), hierarchy.v2});
      } else {
        make(hierarchy.mount_point, hierarchy.v2);
      }
      // The shim would stand still before it executes, for ever. In runc's words.
      if (is_frozen(leaves_.back(), hierarchy.mount_point))
        throw Error(Errc::wrong_state, "container's cgroup unexpectedly frozen");
    }
    warn_of_others(leaves_);
  } catch (...) {
    remove_cgroups(made_);
    throw;
  }
}

HostCgroup::HostCgroup(pid_t member) : keep_(true) {
  for (MemberCgroup& cgroup : find_cgroups_of(member))
    leaves_.push_back(std::move(cgroup.directory));
}

HostCgroup::~HostCgroup() {
  if (keep_) return;
  if (unit_started_) systemd::stop_scope(plan_.scope->name, plan_.scope->description);
  remove_cgroups(made_);
}

void HostCgroup::make(const fs::path& mount_point, bool v2) {
  // Another husk's last container may take a common parent away between our steps.
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (try_make(mount_point, v2)) return;
  }
  throw Error(Errc::system, "make cgroup " + mount_point.string() + plan_.path +
                                ": its parent keeps being removed");
}

/// False: a directory that was there is gone again.
bool HostCgroup::try_make(const fs::path& mount_point, bool v2) {
  fs::path directory = mount_point;
  bool is_new = false;
  for (const fs::path& part : fs::path(plan_.path).lexically_normal().relative_path()) {
    if (part.empty()) continue;
    if (v2) enable_controllers(directory);
    directory /= part;
    // The folder of containers without a cgroupsPath is husk's own: the last of them takes it away,
    // whoever made it.
    const bool own_parent = directory == mount_point / "husk";
    is_new = ::mkdir(directory.c_str(), 0755) == 0;
    if (is_new || (errno == EEXIST && own_parent)) {
      if (std::find(made_.begin(), made_.end(), directory) == made_.end())
        made_.push_back(directory);
    } else if (errno == ENOENT) {
      return false;
    } else if (errno != EEXIST) {
      throw_errno("make cgroup " + directory.string());
    }
    if (!v2) inherit_cpuset(directory);
  }
  leaves_.push_back(directory);
  if (is_new) unrestricted_.push_back({directory, v2});
  return true;
}

/// A scope is made with its first process; there is no empty one.
void HostCgroup::start_unit(pid_t pid) {
  if (!plan_.scope || unit_started_) return;
  systemd::start_scope(*plan_.scope, pid);
  unit_started_ = true;
}

/// A kernel without the filter costs a layer of defence, not the container.
void HostCgroup::restrict_own() noexcept {
  for (const OwnLeaf& leaf : unrestricted_)
    warn_on_failure([&] { restrict_devices(leaf.directory, leaf.v2); });
  unrestricted_.clear();
}

void HostCgroup::add(pid_t pid) {
  start_unit(pid);
  restrict_own();
  for (const fs::path& leaf : leaves_) enter(leaf, pid);
}

std::vector<pid_t> HostCgroup::processes() const {
  if (leaves_.empty()) return {};
  std::istringstream pids(read_file(leaves_.front() / "cgroup.procs", 1u << 20));
  std::vector<pid_t> found;
  for (pid_t pid = 0; pids >> pid;) found.push_back(pid);
  return found;
}

void remove_host_cgroup(const CgroupOwner& owner, const std::string& unit,
                        const std::vector<fs::path>& directories) noexcept {
  if (!unit.empty()) systemd::stop_scope(unit, description_of(owner));
  remove_cgroups(directories);
}

}  // namespace husk::runtime
