// SPDX-License-Identifier: Apache-2.0
// The source of a bind, taken from the host, or an overlay, made on the host.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/unique_fd.hpp"
#include "lib/runtime/host/overlay_source.hpp"

namespace husk::runtime {

struct BindSource {
  UniqueFd tree;  ///< a copy of the mount, attached nowhere (mount_tree.hpp)
  bool directory = false;
  std::string
      identity{};  ///< "device-inode" of the file: [0-9a-f-]. No other file has it while this is open.
  std::vector<std::string>
      options{};  ///< of nosuid, nodev and noexec those of the mount that it is on
};

struct BindRequest {
  std::filesystem::path path;
  bool recursive = false;  ///< with the mounts below it
  /// What the host mounts and unmounts there later shows in the copy (mount_namespaces(7), "slave").
  /// Otherwise the copy stays as it is now.
  bool follow_host = false;
  std::optional<OverlaySource> overlay{};  ///< what to make; path names the overlay in errors
};

/// Throws system if there is no such file, timed_out "<path>: the file system does not respond" if its file system
/// (a network's, or FUSE) does not within `patience`.
BindSource open_bind_source(const BindRequest& request, std::chrono::seconds patience);

}  // namespace husk::runtime
