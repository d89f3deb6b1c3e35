// SPDX-License-Identifier: Apache-2.0
#include "lib/base/files.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "lib/base/error.hpp"
#include "lib/base/random_id.hpp"

namespace husk {
namespace {

/// Returns nothing, with errno set, on failure.
UniqueFd try_open_in_root(int root_fd, const std::string& path, int flags, mode_t mode) {
  struct open_how how {};
  how.flags = static_cast<unsigned>(flags) | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0;; ++attempt) {
    const long fd = ::syscall(SYS_openat2, root_fd, path.c_str(), &how, sizeof how);
    if (fd >= 0) return UniqueFd{static_cast<int>(fd)};
    // The kernel answers EAGAIN when a rename raced with a ".." of the path; a container could keep
    // it busy.
    if (errno != EAGAIN || attempt >= 64) return {};
  }
}

}  // namespace

std::string read_all(int fd, std::size_t max_bytes, const std::string& what) {
  std::string content;
  std::array<char, 16384> chunk{};
  for (;;) {
    const ssize_t n = ::read(fd, chunk.data(), chunk.size());
    if (n == 0) return content;
    if (n < 0) {
      if (errno == EINTR) continue;
      throw_errno("read " + what);
    }
    content.append(chunk.data(), static_cast<std::size_t>(n));
    if (content.size() > max_bytes) {
      throw Error(Errc::invalid_argument,
                  what + ": larger than " + std::to_string(max_bytes) + " bytes");
    }
  }
}

std::string read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const UniqueFd fd{check_sys(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "open " + path.string())};
  return read_all(fd.get(), max_bytes, path.string());
}

void write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      throw_errno("write");
    }
    data.remove_prefix(static_cast<std::size_t>(n));
  }
}

void write_file_atomic(const std::filesystem::path& path, std::string_view content, mode_t mode) {
  const std::filesystem::path temporary =
      path.parent_path() / ("." + path.filename().string().substr(0, 200) + "." + random_hex(6));
  UniqueFd fd{check_sys(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode),
      "create " + path.string())};
  try {
    step("write " + path.string(), [&] { write_all(fd.get(), content); });
    fd.reset();
    check_sys(::rename(temporary.c_str(), path.c_str()), "rename to " + path.string());
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void write_new_file(int parent, const std::string& name, std::string_view content, mode_t mode) {
  const UniqueFd fd{check_sys(
      ::openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode),
      "create " + name)};
  step("write " + name, [&] { write_all(fd.get(), content); });
}

void write_existing(const std::filesystem::path& path, std::string_view content) {
  const UniqueFd fd{check_sys(::open(path.c_str(), O_WRONLY | O_CLOEXEC), "open " + path.string())};
  const ssize_t n = ::write(fd.get(), content.data(), content.size());
  if (n != static_cast<ssize_t>(content.size())) throw_errno("write " + path.string());
}

UniqueFd open_in_root(int root_fd, const std::string& path, int flags, mode_t mode) {
  UniqueFd opened = try_open_in_root(root_fd, path, flags, mode);
  if (!opened) throw_errno("open " + path);
  return opened;
}

UniqueFd find_in_root(int root_fd, const std::string& path, int flags) {
  UniqueFd found = try_open_in_root(root_fd, path, flags, 0);
  if (!found && errno != ENOENT) throw_errno("open " + path);
  return found;
}

UniqueFd make_directories_in_root(int root_fd, const std::string& path, mode_t mode) {
  UniqueFd current = open_in_root(root_fd, "/", O_PATH | O_DIRECTORY);
  std::string walked;
  for (const auto& part : std::filesystem::path(path).lexically_normal().relative_path()) {
    if (part.empty() || part == ".") continue;
    const std::string next = walked + "/" + part.string();
    // Resolved from the root each time: an existing component may be a symbolic link, which must be
    // followed inside the root; only a missing one is made, in the directory reached so far.
    UniqueFd there = find_in_root(root_fd, next, O_PATH | O_DIRECTORY);
    if (!there) {
      if (::mkdirat(current.get(), part.c_str(), mode) != 0 && errno != EEXIST) {
        throw_errno("make directory " + next);
      }
      there = open_in_root(root_fd, next, O_PATH | O_DIRECTORY);
    }
    current = std::move(there);
    walked = next;
  }
  return current;
}

UniqueFd make_ordinary_directory_in_root(int root_fd, const std::string& path, mode_t mode) {
  std::string clean = std::filesystem::path("/" + path).lexically_normal().string();
  // openat2 follows a link in spite of O_NOFOLLOW if the path ends with a slash.
  while (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  UniqueFd there = find_in_root(root_fd, clean, O_PATH | O_NOFOLLOW);
  if (!there) {
    make_directories_in_root(root_fd, clean, mode);
    there = open_in_root(root_fd, clean, O_PATH | O_NOFOLLOW);
  }
  return is_directory(there.get()) ? std::move(there) : UniqueFd{};
}

bool is_directory(int fd) {
  struct stat status {};
  check_sys(::fstat(fd, &status), "stat");
  return S_ISDIR(status.st_mode);
}

std::vector<std::string> names_in(int directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(fd_path(directory), error), end;
       !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename().string());
  if (error) throw_errno("list a directory", error.value());
  return names;
}

std::string fd_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

}  // namespace husk
