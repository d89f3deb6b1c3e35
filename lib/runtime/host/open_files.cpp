// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/open_files.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::runtime {
namespace {

constexpr std::uint64_t least = 65536, most = 1000000, share = 8;

/// virtiofsd's child does the work; the first process only waits for it.
std::vector<pid_t> with_children(pid_t pid) {
  const std::string number = std::to_string(pid);
  std::istringstream children(read_file("/proc/" + number + "/task/" + number + "/children", 4096));
  std::vector<pid_t> found{pid};
  for (pid_t child = 0; children >> child;) found.push_back(child);
  return found;
}

void lower(pid_t pid, rlim_t limit) {
  const std::string what = "limit the open files of process " + std::to_string(pid);
  rlimit own{};
  check_sys(::prlimit(pid, RLIMIT_NOFILE, nullptr, &own), what);
  own.rlim_max = std::min(own.rlim_max, limit);
  own.rlim_cur = std::min(own.rlim_cur, own.rlim_max);
  check_sys(::prlimit(pid, RLIMIT_NOFILE, &own, nullptr), what);
}

}  // namespace

std::uint64_t open_files_limit(std::uint64_t file_max) {
  return std::clamp(file_max / share, least, most);
}

std::uint64_t open_files_limit() {
  std::uint64_t number = 0;
  std::istringstream(read_file("/proc/sys/fs/file-max", 64)) >> number;
  return open_files_limit(number);
}

void limit_open_files(pid_t pid, std::uint64_t limit) {
  for (const pid_t process : with_children(pid)) lower(process, limit);
}

}  // namespace husk::runtime
