// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/command.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

/// Why `path` cannot be executed, as Go's exec.LookPath says it; empty if it can.
std::string find_obstacle(const std::string& path, int& error) {
  struct stat status {};
  error = 0;
  if (::stat(path.c_str(), &status) != 0) {
    error = errno;
    return "stat " + path + ": " + errno_text(error);
  }
  if (S_ISDIR(status.st_mode)) {
    error = EISDIR;
  } else if ((status.st_mode & 0111) == 0 ||
             (::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0 && errno == EACCES)) {
    error = EACCES;
  }
  return error == 0 ? "" : errno_text(error);
}

std::string_view find_path_variable(const std::vector<std::string>& environment) {
  std::string_view found;
  for (const std::string& variable : environment) {
    if (variable.starts_with("PATH=")) found = std::string_view(variable).substr(5);
  }
  return found;
}

[[noreturn]] void refuse(const std::string& name, const std::string& why, int error) {
  throw Error(Errc::not_found, "exec: \"" + name + "\": " + why, error);
}

}  // namespace

std::string find_command(const std::string& name, const std::vector<std::string>& environment) {
  int error = 0;
  if (name.find('/') != std::string::npos) {
    const std::string obstacle = find_obstacle(name, error);
    if (!obstacle.empty()) refuse(name, obstacle, error);
    return name;
  }
  std::string_view path = find_path_variable(environment);
  while (!path.empty() && !name.empty()) {
    const std::size_t colon = path.find(':');
    const std::string directory(path.substr(0, colon));
    const std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
    if (find_obstacle(candidate, error).empty()) {
      if (candidate[0] == '/') return candidate;
      refuse(name, "cannot run executable found relative to current directory", ENOENT);
    }
    path = colon == std::string_view::npos ? std::string_view{} : path.substr(colon + 1);
  }
  refuse(name, "executable file not found in $PATH", ENOENT);
}

}  // namespace husk::agent
