// SPDX-License-Identifier: Apache-2.0
#include "lib/base/cgroup_directories.hpp"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

namespace husk {
namespace {

namespace fs = std::filesystem;

/// But for those of a moment.
bool has_children(const fs::path& directory) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename();
    if (entry.is_directory(ignored) && name != cgroup_for_kill && name != cgroup_for_processes)
      return true;
  }
  return false;
}

/// The list may come from a file: no other directory of the host is removed for it.
bool is_cgroup(const fs::path& directory) {
  struct statfs status {};
  return ::statfs(directory.c_str(), &status) == 0 &&
         (status.f_type == CGROUP_SUPER_MAGIC || status.f_type == CGROUP2_SUPER_MAGIC);
}

/// False while a process that has just ended is still on its way out of it.
bool try_remove(const fs::path& directory) {
  for (const char* name : {cgroup_for_kill, cgroup_for_processes})
    ::rmdir((directory / name).c_str());
  ::rmdir((directory.string() + suffix_beside).c_str());
  return ::rmdir(directory.c_str()) == 0 || errno != EBUSY || has_children(directory);
}

}  // namespace

fs::path without_detour(const fs::path& cgroup) {
  if (cgroup.filename() == cgroup_for_processes) return cgroup.parent_path();
  const std::string whole = cgroup.string(), suffix = suffix_beside;
  return whole.ends_with(suffix) ? fs::path(whole.substr(0, whole.size() - suffix.size())) : cgroup;
}

void remove_cgroups(const std::vector<fs::path>& directories) noexcept {
  for (auto it = directories.rbegin(); it != directories.rend(); ++it) {
    if (!is_cgroup(*it)) continue;
    for (int attempt = 0; attempt < 50 && !try_remove(*it); ++attempt)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace husk
