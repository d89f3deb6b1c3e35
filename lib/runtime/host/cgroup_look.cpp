// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/cgroup_look.hpp"

#include <sys/types.h>

#include <fstream>
#include <set>
#include <string>

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

/// Returns an empty text where there is no such file, as in the root, in another hierarchy, or in a cgroup that was removed.
std::string first_word(const fs::path& file) {
  std::string word;
  std::ifstream(file) >> word;
  return word;
}

void add_processes(const fs::path& cgroup, std::set<pid_t>& found) {
  std::ifstream pids(cgroup / "cgroup.procs");
  for (pid_t pid = 0; pids >> pid;) found.insert(pid);
}

}  // namespace

bool is_frozen(const fs::path& cgroup, const fs::path& mount_point) {
  for (fs::path at = cgroup; at != mount_point && at.has_relative_path(); at = at.parent_path()) {
    const std::string state = first_word(at / "freezer.state");
    if (state == "FROZEN" || state == "FREEZING") return true;
    if (first_word(at / "cgroup.freeze") == "1") return true;
  }
  return false;
}

std::size_t count_processes(const std::vector<fs::path>& cgroups) {
  std::set<pid_t> found;
  for (const fs::path& cgroup : cgroups) {
    add_processes(cgroup, found);
    std::error_code gone;  // cgroups are removed while they are looked at
    for (fs::recursive_directory_iterator below(cgroup, gone), end; !gone && below != end;
         below.increment(gone)) {
      std::error_code ignored;
      if (below->is_directory(ignored)) add_processes(below->path(), found);
    }
  }
  return found.size();
}

}  // namespace husk::runtime
