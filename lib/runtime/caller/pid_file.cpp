// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/caller/pid_file.hpp"

#include <unistd.h>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::runtime {

PidFilePlace find_pid_file_place(const std::filesystem::path& path) {
  std::error_code ignored;  // what cannot be looked at is no folder to write into
  const std::filesystem::path folder = path.parent_path();
  if (!std::filesystem::is_directory(folder, ignored) || ::access(folder.c_str(), W_OK) != 0)
    return PidFilePlace::no_folder;
  return std::filesystem::is_directory(path, ignored) ? PidFilePlace::occupied : PidFilePlace::good;
}

void check_pid_file(const std::filesystem::path& path, PidFilePlace place) {
  const std::string file = "pid file " + path.string() + ": ";
  if (place == PidFilePlace::no_folder)
    throw Error(Errc::invalid_argument, file + "its directory is missing or not writable");
  if (place == PidFilePlace::occupied)
    throw Error(Errc::invalid_argument, file + "is occupied by a directory");
}

void write_pid_file(const std::filesystem::path& path, pid_t pid) {
  step("pid file", [&] { write_file_atomic(path, std::to_string(pid), 0644); });
}

}  // namespace husk::runtime
