// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/mount_target.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <deque>
#include <filesystem>
#include <optional>
#include <ranges>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

namespace fs = std::filesystem;

constexpr int max_links = 40;  ///< as the kernel's, path_resolution(7)
constexpr mode_t made_mode = 0755;

/// Where the link at `path` leads; empty: it is no link, or not there.
std::optional<fs::path> find_link(int root_fd, const fs::path& path) {
  const UniqueFd there = find_in_root(root_fd, path, O_PATH | O_NOFOLLOW);
  if (!there) return {};
  struct stat status {};
  check_sys(::fstat(there.get(), &status), "stat " + path.string());
  if (!S_ISLNK(status.st_mode)) return {};
  std::array<char, PATH_MAX> target{};
  check_sys(::readlinkat(there.get(), "", target.data(), target.size() - 1),
            "read link " + path.string());
  return fs::path(target.data());
}

/// `path` without links, as if everything that is missing were a directory. Whatever changes meanwhile, the result is
/// opened inside the root again.
fs::path without_links(int root_fd, const std::string& path) {
  const fs::path whole = "/" + path;
  std::deque<fs::path> left(whole.begin(), whole.end());
  fs::path resolved = "/";
  for (int links = 0; !left.empty();) {
    const fs::path part = left.front();
    left.pop_front();
    if (part.empty() || part == "." || part.is_absolute()) continue;
    if (part == "..") {
      resolved = resolved.parent_path();
      continue;
    }
    const std::optional<fs::path> target = find_link(root_fd, resolved / part);
    if (!target) {
      resolved /= part;
      continue;
    }
    if (++links > max_links) throw_errno("open " + path, ELOOP);
    if (target->is_absolute()) resolved = "/";
    const std::vector<fs::path> parts(target->begin(), target->end());
    for (const fs::path& one : parts | std::views::reverse) left.push_front(one);
  }
  return resolved;
}

}  // namespace

UniqueFd directory_target(int root_fd, const std::string& path) {
  if (UniqueFd there = find_in_root(root_fd, path, O_PATH | O_DIRECTORY)) return there;
  const fs::path resolved = without_links(root_fd, path);
  make_directories_in_root(root_fd, resolved, made_mode);
  // Opened again: the last component may be a mount point.
  return open_in_root(root_fd, resolved, O_PATH | O_DIRECTORY);
}

UniqueFd file_target(int root_fd, const std::string& path) {
  if (UniqueFd there = find_in_root(root_fd, path, O_PATH)) return there;
  const fs::path resolved = without_links(root_fd, path);
  make_directories_in_root(root_fd, resolved.parent_path(), made_mode);
  open_in_root(root_fd, resolved, O_CREAT | O_RDONLY | O_NONBLOCK | O_NOCTTY, made_mode);
  return open_in_root(root_fd, resolved, O_PATH);
}

}  // namespace husk::agent
