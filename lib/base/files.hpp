// SPDX-License-Identifier: Apache-2.0
// Reading and writing files with the care a runtime needs: bounded, atomic, and inside a root.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/unique_fd.hpp"

namespace husk {

/// Throws system (with errno), or invalid_argument "<path>: larger than N bytes".
std::string read_file(const std::filesystem::path& path, std::size_t max_bytes);
std::string read_all(int fd, std::size_t max_bytes, const std::string& what);

/// Writes a temporary file in the same directory and renames it over `path`, so that a reader sees
/// the old or the new content, never a part. Leaves nothing behind on failure.
void write_file_atomic(const std::filesystem::path& path, std::string_view content, mode_t mode);

/// Makes the file `name`, which must not exist, in the directory `parent` (AT_FDCWD for a path) with
/// that content. Throws system.
void write_new_file(int parent, const std::string& name, std::string_view content, mode_t mode);

/// Writes to an existing file in one write(2), as /proc and cgroup files want it.
void write_existing(const std::filesystem::path& path, std::string_view content);

/// Writes all of `data`; throws system. Retries on EINTR; not for non-blocking descriptors.
void write_all(int fd, std::string_view data);

/// Opens `path` as if `root_fd` were "/" (openat2 RESOLVE_IN_ROOT): no symbolic link, "..", or
/// magic link in it can lead outside. For every path that a container can shape.
UniqueFd open_in_root(int root_fd, const std::string& path, int flags, mode_t mode = 0);
/// The same without an Error, and so without its cost, where there is no such path (ENOENT): empty then. Throws system
/// for whatever else goes wrong.
UniqueFd find_in_root(int root_fd, const std::string& path, int flags);

/// Makes `path` and its missing parents below root_fd, never leaving it; returns an O_PATH
/// descriptor of the last directory. Existing directories are fine, another file kind on the way is
/// an error (ENOTDIR).
UniqueFd make_directories_in_root(int root_fd, const std::string& path, mode_t mode);

/// The same, but no symbolic link is followed in the last component, whatever slashes and dots come after it. Empty
/// where that is a link, or anything else but a directory. For mounts that must be where their path says.
UniqueFd make_ordinary_directory_in_root(int root_fd, const std::string& path, mode_t mode);

/// Throws system.
bool is_directory(int fd);

/// The entries of an open directory, without "." and "..", in no order. Throws system.
std::vector<std::string> names_in(int directory);

/// "/proc/self/fd/N": the name by which a descriptor can be given to calls that take a path.
std::string fd_path(int fd);

}  // namespace husk
