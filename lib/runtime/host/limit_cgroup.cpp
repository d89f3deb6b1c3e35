// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/limit_cgroup.hpp"

#include <cerrno>
#include <vector>

#include "lib/base/cpu_weight.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/text.hpp"
#include "lib/runtime/host/cgroup_hierarchies.hpp"
#include "lib/systemd/unit_limits.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

using Number = std::optional<std::uint64_t>;
using List = std::optional<std::string>;

struct Setting {
  std::string file, value;
};

constexpr const char* default_shares = "1024";
constexpr const char* quota_v1 = "cpu.cfs_quota_us";
constexpr const char* default_weight = "100";

/// Adds the file where one of both limits it.
void add(std::vector<Setting>& to, const std::string& file, const Number& wanted, const Number& had,
         const std::string& unlimited) {
  if (wanted || had) to.push_back({file, wanted ? std::to_string(*wanted) : unlimited});
}

std::vector<Setting> settings_v2(const CgroupLimits& wanted, const CgroupLimits& had) {
  std::vector<Setting> all;
  add(all, "memory.max", wanted.memory_bytes, had.memory_bytes, "max");
  add(all, "cpu.max", wanted.quota_us, had.quota_us, "max");
  add(all, "pids.max", wanted.processes, had.processes, "max");
  const Number weight =
      wanted.cpu_shares ? Number(cpu_weight_of(*wanted.cpu_shares)) : wanted.cpu_shares;
  add(all, "cpu.weight", weight, had.cpu_shares, default_weight);
  return all;
}

std::vector<Setting> settings_v1(const CgroupLimits& wanted, const CgroupLimits& had) {
  std::vector<Setting> all;
  add(all, "memory.limit_in_bytes", wanted.memory_bytes, had.memory_bytes, "-1");
  add(all, quota_v1, wanted.quota_us, had.quota_us, "-1");
  add(all, "pids.max", wanted.processes, had.processes, "max");
  add(all, "cpu.shares", wanted.cpu_shares, had.cpu_shares, default_shares);
  return all;
}

/// A controller that the host does not have, or does not delegate, limits nothing.
bool is_there(const fs::path& file) {
  std::error_code none;
  return fs::exists(file, none);
}

/// What a container without a list has: in v2 what the cgroup above has, which v1 copies.
std::string whole_list(const fs::path& directory, const std::string& file, bool v2) {
  constexpr std::size_t max_bytes = 4096;
  return v2 ? "\n" : read_file(directory.parent_path() / file, max_bytes);
}

void limit_list(const fs::path& directory, bool v2, const std::string& file, const List& wanted,
                const List& had) {
  if ((!wanted && !had) || !is_there(directory / file)) return;
  if (!wanted) return write_existing(directory / file, whole_list(directory, file, v2));
  try {
    write_existing(directory / file, *wanted);
  } catch (const Error& e) {
    throw Error(Errc::invalid_argument,
                "linux.resources.cpu." + file.substr(file.find('.') + 1) + ": " + quote(*wanted) +
                    " is not what this host has for the container: " + e.what());
  }
}

/// cgroup v1 takes no quota above that of the cgroup above, as kubelet gives a pod: that one holds then.
void write_setting(const fs::path& directory, const Setting& setting) {
  try {
    write_existing(directory / setting.file, setting.value);
  } catch (const Error& e) {
    if (e.sys_errno() != EINVAL || setting.file != quota_v1) throw;
    write_existing(directory / setting.file, "-1");
  }
}

systemd::UnitLimits unit_limits(const CgroupLimits& limits) {
  return {.memory_bytes = limits.memory_bytes,
          .quota_us = limits.quota_us,
          .cpu_weight = limits.cpu_shares ? Number(cpu_weight_of(*limits.cpu_shares)) : Number(),
          .tasks = limits.processes};
}

/// systemd takes limits away that it does not know of, when it looks at its units again.
void limit_unit(const fs::path& directory, const CgroupLimits& wanted, const CgroupLimits& had) {
  const std::string name = directory.filename();
  if (name.ends_with(".scope") || name.ends_with(".slice"))
    systemd::limit_unit(name, unit_limits(wanted), unit_limits(had));
}

}  // namespace

void limit_cgroup(const fs::path& directory, bool v2, const CgroupLimits& wanted,
                  const CgroupLimits& had) {
  for (const Setting& one : v2 ? settings_v2(wanted, had) : settings_v1(wanted, had))
    if (is_there(directory / one.file)) write_setting(directory, one);
  limit_list(directory, v2, "cpuset.cpus", wanted.cpus, had.cpus);
  limit_list(directory, v2, "cpuset.mems", wanted.mems, had.mems);
}

void limit_cgroups_of(const ProcessIdentity& member, const CgroupLimits& wanted,
                      const CgroupLimits& had) {
  const auto check = [&] {
    if (!is_alive(member)) throw Error(Errc::peer_lost, "the VM ended");
  };
  check();
  const std::vector<MemberCgroup> cgroups = find_cgroups_of(member.pid);
  check();  // another process may have its pid by now
  bool is_unit_limited = false;
  for (const MemberCgroup& cgroup : cgroups) {
    // A process in the root cgroup is in nobody's.
    if (cgroup.directory == cgroup.hierarchy.mount_point) continue;
    if (cgroup.hierarchy.systemds && !is_unit_limited) {
      limit_unit(cgroup.directory, wanted, had);
      is_unit_limited = true;
    }
    limit_cgroup(cgroup.directory, cgroup.hierarchy.v2, wanted, had);
  }
}

}  // namespace husk::runtime
