// SPDX-License-Identifier: Apache-2.0
#include "lib/setup/changed_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::setup {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_bytes = 1U << 20U;
constexpr int max_copies = 1000;

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0644;
};

/// Makes the file `path`, which must not exist, and brings it to the disk. Leaves nothing behind on failure. False: there
/// is such a file.
bool write_whole(const fs::path& path, const std::string& text, const Owner& owner) {
  const UniqueFd file{
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!file && errno == EEXIST) return false;
  check_sys(file.get(), "make " + path.string());
  try {
    write_all(file.get(), text);
    check_sys(::fchown(file.get(), owner.uid, owner.gid), "chown " + path.string());
    check_sys(::fchmod(file.get(), owner.mode), "chmod " + path.string());
    check_sys(::fsync(file.get()), "fsync " + path.string());
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
  return true;
}

/// The first of PATH, PATH.2 and so on that is not there.
fs::path write_first_free(const std::string& path, const std::string& text, const Owner& owner) {
  for (int n = 1; n <= max_copies; ++n) {
    fs::path one = n == 1 ? path : path + "." + std::to_string(n);
    if (write_whole(one, text, owner)) return one;
  }
  throw Error(Errc::already_exists, path + ": there are too many copies");
}

/// A link is followed, so that it stays. Throws system for one that leads nowhere.
fs::path find_target(const fs::path& file) {
  std::error_code failure;
  if (!fs::is_symlink(fs::symlink_status(file, failure))) return file;
  const fs::path target = fs::canonical(file, failure);
  if (failure) throw_errno(file.string() + ": the link leads nowhere", failure.value());
  return target;
}

void make_parent(const fs::path& file) {
  std::error_code failure;
  fs::create_directories(file.parent_path(), failure);
  if (failure) throw_errno("make directory " + file.parent_path().string(), failure.value());
}

/// Puts the text in the file's place at once. A reader sees the old or the new file.
void replace(const fs::path& file, const std::string& text, const Owner& owner) {
  const fs::path next = write_first_free(file.string() + ".husk-new", text, owner);
  if (::rename(next.c_str(), file.c_str()) == 0) return;
  const int error = errno;
  ::unlink(next.c_str());
  throw_errno("rename " + next.string(), error);
}

}  // namespace

std::string read_or_empty(const fs::path& file) try {
  return read_file(file, max_bytes);
} catch (const Error& error) {
  if (error.sys_errno() == ENOENT) return {};
  throw;
}

fs::path change_file(const fs::path& file, const std::string& before, const std::string& text) {
  const fs::path target = find_target(fs::absolute(file));
  if (read_or_empty(target) != before)
    throw Error(Errc::wrong_state, file.string() + ": was changed meanwhile; try again");
  struct stat status {};
  if (::stat(target.c_str(), &status) != 0) {
    if (errno != ENOENT) throw_errno(target.string());
    make_parent(target);
    replace(target, text, {});
    return {};
  }
  const Owner owner{.uid = status.st_uid, .gid = status.st_gid, .mode = status.st_mode & 07777};
  const fs::path copy = write_first_free(target.string() + ".before-husk", before, owner);
  try {
    replace(target, text, owner);
  } catch (...) {
    ::unlink(copy.c_str());
    throw;
  }
  return copy;
}

}  // namespace husk::setup
