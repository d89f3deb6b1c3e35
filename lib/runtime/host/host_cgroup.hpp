// SPDX-License-Identifier: Apache-2.0
// The container's cgroup on the host (linux.cgroupsPath): the shim and the VM's processes are in
// it, so that stats and OOM watches of the callers find them. cgroup v1, hybrid and v2; made
// through the file system, or by systemd as a transient scope.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/systemd/scope.hpp"

namespace husk::runtime {

struct CgroupPlan {
  std::string path;                         ///< below each hierarchy's mount point
  std::optional<systemd::ScopePlan> scope;  ///< systemd makes it (--systemd-cgroup)
};

/// Identifies the container that owns a cgroup: two roots may each have a container of the same id, but
/// not in the same VM.
struct CgroupOwner {
  std::string container, vm;  ///< ids
};

/// systemd: cgroupsPath has the form "slice:prefix:name", and the unit "prefix-name.scope" is made
/// in that slice ("system.slice" if empty; "name" itself when it ends in ".slice"). Otherwise it is
/// a path. Empty: husk's own, by the container's id. Throws invalid_argument for ".." in a path, for another
/// form.
CgroupPlan plan_cgroup(const std::string& cgroups_path, const CgroupOwner& owner, bool systemd,
                       const std::map<std::string, std::string>& annotations);

class HostCgroup {
 public:
  /// Makes the directory in every hierarchy of the host; those that are systemd's to make come with
  /// the first process. Removed on destruction unless kept. Throws wrong_state where a process would be frozen;
  /// warns of the processes that are in it.
  explicit HostCgroup(CgroupPlan plan);
  /// The cgroup of a running process, which others may join. Throws system when the process is gone.
  explicit HostCgroup(pid_t member);
  HostCgroup(const HostCgroup&) = delete;
  HostCgroup& operator=(const HostCgroup&) = delete;
  ~HostCgroup();

  std::vector<pid_t> processes() const;  ///< all that are in it
  /// Adds the whole process. If husk has made the cgroup, the process may from then on open only the
  /// devices of device_list.hpp. Throws system.
  void add(pid_t pid);
  /// The directories, parents first, and systemd's unit, to be removed in the end.
  const std::vector<std::filesystem::path>& made() const noexcept { return made_; }
  std::string unit() const { return plan_.scope ? plan_.scope->name : std::string{}; }
  void keep() noexcept { keep_ = true; }

 private:
  void make(const std::filesystem::path& mount_point, bool v2);
  bool try_make(const std::filesystem::path& mount_point, bool v2);
  void start_unit(pid_t pid);
  void restrict_own() noexcept;

  CgroupPlan plan_;
  /// Whether this object, or systemd for it, has made the cgroup: no other processes are in it.
  struct OwnLeaf {
    std::filesystem::path directory;
    bool v2 = false;
  };

  std::vector<std::filesystem::path> leaves_, made_;
  std::vector<OwnLeaf> unrestricted_;
  bool unit_started_ = false, keep_ = false;
};

/// Stops the unit, if there is one and husk made it for `owner`, and removes the directories. A record
/// may name another's unit: that of a create which found the name taken, or one that was made after
/// the container's own had ended.
void remove_host_cgroup(const CgroupOwner& owner, const std::string& unit,
                        const std::vector<std::filesystem::path>& directories) noexcept;

}  // namespace husk::runtime
