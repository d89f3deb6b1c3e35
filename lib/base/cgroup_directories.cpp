// SPDX-License-Identifier: Apache-2.0
#include "lib/base/cgroup_directories.hpp"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace husk {
namespace {

namespace fs = std::filesystem;

bool has_children(const fs::path& directory) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.is_directory(ignored)) return true;
  }
  return false;
}

}  // namespace

void remove_cgroups(const std::vector<fs::path>& directories) noexcept {
  for (auto it = directories.rbegin(); it != directories.rend(); ++it) {
    const fs::path& directory = *it;
    // A process that just ended leaves its cgroup a moment later.
    for (int attempt = 0; attempt < 50; ++attempt) {
      if (::rmdir(directory.c_str()) == 0 || errno != EBUSY) break;
      if (has_children(directory)) break;  // another container's, below a parent that husk made
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
}

}  // namespace husk
