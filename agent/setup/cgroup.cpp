// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/cgroup.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"

namespace husk::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_cgroup_file_bytes = 1u << 20;
// A container that may write to its cgroup could make removing it take for ever.
constexpr const char* max_cgroup_depth = "32";
constexpr const char* max_descendants = "1024";

void make_directory(const fs::path& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST)
    throw_errno("make cgroup " + path.string());
}

/// Together, since each change makes the kernel wait; one by one where one that cannot be passed on would hold back
/// the others.
void enable_controllers(const fs::path& path) {
  std::istringstream words(read_file(path / "cgroup.controllers", max_cgroup_file_bytes));
  std::vector<std::string> controllers;
  for (std::string name; words >> name;) controllers.push_back("+" + name);
  const fs::path control = path / "cgroup.subtree_control";
  std::string all;
  for (const std::string& one : controllers) all += one + " ";
  try {
    return write_existing(control, all);
  } catch (const Error&) {
    // The next loop says which.
  }
  for (const std::string& one : controllers) {
    try {
      write_existing(control, one);
    } catch (const Error& error) {
      log(LogLevel::warning, "cgroup controller " + one + ": " + error.what());
    }
  }
}

/// Children first, as rmdir wants it. Never follows links: cgroupfs has none.
bool remove_tree(const fs::path& path) noexcept {
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return true;
  if (errno != EBUSY && errno != ENOTEMPTY) return false;
  std::error_code failure;
  bool all_gone = true;
  for (const auto& entry : fs::directory_iterator(path, failure)) {
    if (entry.is_directory(failure)) all_gone = remove_tree(entry.path()) && all_gone;
  }
  return all_gone && (::rmdir(path.c_str()) == 0 || errno == ENOENT);
}

void collect_processes(const fs::path& path, std::vector<pid_t>& found) {
  std::istringstream pids(read_file(path / "cgroup.procs", max_cgroup_file_bytes));
  for (pid_t pid = 0; pids >> pid;) {
    if (pid > 0) found.push_back(pid);
  }
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(path, failure)) {
    if (entry.is_directory(failure)) collect_processes(entry.path(), found);
  }
}

}  // namespace

void prepare_cgroup_parent(const fs::path& parent) {
  make_directory(parent);
  enable_controllers(parent.parent_path());
  enable_controllers(parent);
}

Cgroup::Cgroup(const fs::path& parent, const std::string& id) : path_(parent / id) {
  ::rmdir(path_.c_str());  // left by a creation that failed while its process was still dying
  check_sys(::mkdir(path_.c_str(), 0755), "make cgroup " + path_.string());
  directory_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  try {
    if (!directory_) throw_errno("open cgroup " + path_.string());
    write_existing(path_ / "cgroup.max.depth", max_cgroup_depth);
    write_existing(path_ / "cgroup.max.descendants", max_descendants);
  } catch (...) {
    ::rmdir(path_.c_str());
    throw;
  }
}

Cgroup::~Cgroup() {
  kill();
  remove();
}

UniqueFd Cgroup::open_below(const std::string& path) const {
  return step("open cgroup " + path, [&] {
    return open_in_root(directory_.get(), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  });
}

UniqueFd Cgroup::open_for_joining(pid_t member) const {
  const std::string controllers =
      read_file(path_ / "cgroup.subtree_control", max_cgroup_file_bytes);
  if (controllers.find_first_not_of(" \n") == std::string::npos) return open_below("/");
  // "0::/husk/ID/below" on its line; the last part of our own path is in it.
  std::istringstream lines(
      read_file("/proc/" + std::to_string(member) + "/cgroup", max_cgroup_file_bytes));
  const std::string own =
      "/" + path_.parent_path().filename().string() + "/" + path_.filename().string();
  for (std::string line; std::getline(lines, line);) {
    const std::size_t at = line.find(own);
    if (line.starts_with("0::") && at != std::string::npos)
      return open_below("/" + line.substr(at + own.size()));
  }
  throw Error(Errc::internal, "the container's process is not in its cgroup");
}

void Cgroup::kill() noexcept {
  if (path_.empty()) return;
  try {
    write_existing(path_ / "cgroup.kill", "1");
  } catch (const Error& error) {
    if (error.sys_errno() != ENOENT) log(LogLevel::error, error.what());
  }
}

void Cgroup::set_frozen(bool frozen) {
  write_existing(path_ / "cgroup.freeze", frozen ? "1" : "0");
}

bool Cgroup::is_frozen() const {
  return read_file(path_ / "cgroup.events", max_cgroup_file_bytes).find("frozen 1") !=
         std::string::npos;
}

std::vector<pid_t> Cgroup::processes() const {
  std::vector<pid_t> found;
  if (!path_.empty()) collect_processes(path_, found);
  return found;
}

bool Cgroup::remove() noexcept {
  if (path_.empty()) return true;
  if (!remove_tree(path_)) return false;
  path_.clear();
  directory_.reset();
  return true;
}

}  // namespace husk::agent
