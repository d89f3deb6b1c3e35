// SPDX-License-Identifier: Apache-2.0
// The container's cgroup on the host (linux.cgroupsPath): the shim and the VM's processes are in
// it, so that stats and OOM watches of the callers find them. cgroup v1, hybrid and v2, through the
// file system.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace husk::runtime {

/// "slice:prefix:name" (the callers' systemd form) becomes the path systemd would use; anything
/// else is a path already. Empty: "/husk/<id>". Throws invalid_argument for ".." in it.
std::string cgroup_path(const std::string& cgroups_path, const std::string& id, bool systemd);

class HostCgroup {
 public:
  /// Makes the directory in every hierarchy of the host. Removed on destruction unless kept.
  explicit HostCgroup(const std::string& path);
  HostCgroup(const HostCgroup&) = delete;
  HostCgroup& operator=(const HostCgroup&) = delete;
  ~HostCgroup();

  void add(pid_t pid) const;  ///< the whole process; throws system
  const std::vector<std::filesystem::path>& made() const noexcept {
    return made_;
  }  ///< parents first
  void keep() noexcept { keep_ = true; }

 private:
  void make(const std::filesystem::path& mount_point, const std::string& path, bool v2);
  std::vector<std::filesystem::path> leaves_, made_;
  bool keep_ = false;
};

/// Removes the directories that are empty of processes, last first; others stay.
void remove_cgroups(const std::vector<std::filesystem::path>& directories) noexcept;

/// libvirt's own cgroups of an ended VM (<hierarchy>/machine/qemu-N-NAME.libvirt-qemu): libvirt
/// tries once to remove them, and fails while the last thread of QEMU is still on its way out.
void remove_machine_cgroups(const std::string& vm_name) noexcept;

}  // namespace husk::runtime
