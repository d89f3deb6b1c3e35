// SPDX-License-Identifier: Apache-2.0
#include "lib/setup/changed_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::setup {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_bytes = 1U << 20U;
constexpr mode_t usual_mode = 0644;
constexpr int max_copies = 1000;

fs::path write_copy(const fs::path& file, const std::string& text, const struct stat& status) {
  for (int n = 1; n <= max_copies; ++n) {
    const fs::path copy = file.string() + ".before-husk" + (n == 1 ? "" : "." + std::to_string(n));
    try {
      write_new_file(AT_FDCWD, copy.string(), text, status.st_mode & 07777);
    } catch (const Error& error) {
      if (error.sys_errno() == EEXIST) continue;
      throw;
    }
    check_sys(::chown(copy.c_str(), status.st_uid, status.st_gid), "chown " + copy.string());
    return copy;
  }
  throw Error(Errc::already_exists, file.string() + ".before-husk: there are too many copies");
}

/// A link is followed, so that it stays.
fs::path find_target(const fs::path& file) { return fs::exists(file) ? fs::canonical(file) : file; }

}  // namespace

std::string read_or_empty(const fs::path& file) try {
  return read_file(file, max_bytes);
} catch (const Error& error) {
  if (error.sys_errno() == ENOENT) return {};
  throw;
}

fs::path change_file(const fs::path& file, const std::string& text) {
  const fs::path target = find_target(file);
  struct stat status {};
  if (::stat(target.c_str(), &status) != 0) {
    if (errno != ENOENT) throw_errno(target.string());
    std::error_code failure;
    fs::create_directories(target.parent_path(), failure);
    if (failure) throw_errno("make directory " + target.parent_path().string(), failure.value());
    write_file_atomic(target, text, usual_mode);
    return {};
  }
  const fs::path copy = write_copy(target, read_file(target, max_bytes), status);
  try {
    write_file_atomic(target, text, status.st_mode & 07777);
    check_sys(::chown(target.c_str(), status.st_uid, status.st_gid), "chown " + target.string());
  } catch (const Error&) {
    ::unlink(copy.c_str());
    throw;
  }
  return copy;
}

}  // namespace husk::setup
