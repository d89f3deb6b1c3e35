// SPDX-License-Identifier: Apache-2.0
// The cgroup (version 2) of one container.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "lib/base/unique_fd.hpp"

namespace husk::agent {

/// Makes `parent` and passes every controller of the guest on to what is below it. Call once.
void prepare_cgroup_parent(const std::filesystem::path& parent);

class Cgroup {
 public:
  /// Makes <parent>/<id>. Throws already_exists or system.
  Cgroup(const std::filesystem::path& parent, const std::string& id);
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  ~Cgroup();  ///< kills what is in it; the directory stays if something does not die at once

  /// The directory with the files of the limits; empty once the cgroup is gone.
  const std::filesystem::path& path() const noexcept { return path_; }
  int directory_fd() const noexcept { return directory_.get(); }  ///< for CLONE_INTO_CGROUP
  /// The directory of the one at `path` below it. Throws system.
  UniqueFd open_below(const std::string& path) const;
  /// The cgroup that a process can join: this one, or, when the container has distributed controllers (then
  /// only its leaves take processes, cgroups(7)), where `member` is.
  UniqueFd open_for_joining(pid_t member) const;
  void kill() noexcept;  ///< SIGKILL for every process, those being forked included
  /// Stops every process of it, and those of groups the container made below, or lets them go on;
  /// which takes a moment. Those that are stopped can be killed. Throws system.
  void set_frozen(bool frozen);
  bool is_frozen() const;                ///< all processes. Throws system
  std::vector<pid_t> processes() const;  ///< with those of groups the container made below
  bool remove() noexcept;                ///< true once it is gone; false: processes are still in it

 private:
  std::filesystem::path path_;
  UniqueFd directory_;
};

}  // namespace husk::agent
