// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/copy_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <memory>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

constexpr int max_tree_depth =
    64;  ///< an image's tree is hostile too: each level holds descriptors

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

void copy_directory(int from_fd, int to_fd, int depth);

void copy_metadata(int directory, const std::string& name, const struct stat& status) {
  check_sys(::fchownat(directory, name.c_str(), status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW),
            "chown " + name);
  if (!S_ISLNK(status.st_mode)) {
    check_sys(::fchmodat(directory, name.c_str(), status.st_mode & 07777, 0), "chmod " + name);
  }
  const std::array<struct timespec, 2> times{status.st_atim, status.st_mtim};
  check_sys(::utimensat(directory, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW),
            "set times of " + name);
}

void copy_file(int from, int to, const std::string& name) {
  const UniqueFd in{
      check_sys(::openat(from, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC),
                "open " + name)};
  const UniqueFd out{check_sys(
      ::openat(to, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600),
      "create " + name)};
  while (check_sys(::sendfile(out.get(), in.get(), nullptr, 1u << 20), "copy " + name) > 0) {
  }
}

void copy_link(int from, int to, const std::string& name) {
  std::array<char, PATH_MAX> target{};
  check_sys(::readlinkat(from, name.c_str(), target.data(), target.size() - 1),
            "read link " + name);
  check_sys(::symlinkat(target.data(), to, name.c_str()), "link " + name);
}

void copy_subdirectory(int from, int to, const std::string& name, int depth) {
  check_sys(::mkdirat(to, name.c_str(), 0700), "make directory " + name);
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  const UniqueFd in{check_sys(::openat(from, name.c_str(), flags), "open " + name)};
  const UniqueFd out{check_sys(::openat(to, name.c_str(), flags), "open " + name)};
  copy_directory(in.get(), out.get(), depth + 1);
}

void copy_entry(int from, int to, const std::string& name, int depth) {
  struct stat status {};
  check_sys(::fstatat(from, name.c_str(), &status, AT_SYMLINK_NOFOLLOW), "stat " + name);
  if (S_ISDIR(status.st_mode)) {
    copy_subdirectory(from, to, name, depth);
  } else if (S_ISREG(status.st_mode)) {
    copy_file(from, to, name);
  } else if (S_ISLNK(status.st_mode)) {
    copy_link(from, to, name);
  } else {
    check_sys(::mknodat(to, name.c_str(), status.st_mode, status.st_rdev), "make node " + name);
  }
  copy_metadata(to, name, status);
}

void copy_directory(int from_fd, int to_fd, int depth) {
  if (depth > max_tree_depth) throw Error(Errc::invalid_argument, "directories nested too deeply");
  UniqueFd readable{
      check_sys(::openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open directory")};
  const std::unique_ptr<DIR, CloseDirectory> directory{::fdopendir(readable.get())};
  if (!directory) throw_errno("read directory");
  readable.release();  // closedir's from here on
  while (const struct dirent* entry = ::readdir(directory.get())) {
    const std::string name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") copy_entry(from_fd, to_fd, name, depth);
  }
}

}  // namespace

void copy_tree(int from_fd, int to_fd) {
  copy_directory(from_fd, to_fd, 0);
  struct stat status {};
  check_sys(::fstat(from_fd, &status), "stat");
  copy_metadata(to_fd, ".", status);
}

}  // namespace husk::agent
