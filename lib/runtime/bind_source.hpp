// SPDX-License-Identifier: Apache-2.0
// What is to be shown in the container, taken from the host.
#pragma once

#include <chrono>
#include <filesystem>

#include "lib/base/unique_fd.hpp"

namespace husk::runtime {

struct BindSource {
  UniqueFd tree;  ///< a copy of the mount, attached nowhere (mount_tree.hpp)
  bool directory = false;
};

/// Throws system if there is no such file, timed_out "<path>: does not answer" if its file system
/// (a network's, or FUSE) does not within `patience`.
BindSource open_bind_source(const std::filesystem::path& path, bool recursive,
                            std::chrono::seconds patience);

}  // namespace husk::runtime
