// SPDX-License-Identifier: Apache-2.0
// An overlay file system that a mount of config.json asks for (Podman's volume option O and --mount type=image).
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/unique_fd.hpp"

namespace husk::runtime {

struct OverlaySource {
  /// fsconfig(2) takes no longer string than one with these.
  static constexpr std::size_t max_lower = 12;

  std::vector<std::filesystem::path> lower;  ///< absolute, the topmost first; 1 to max_lower
  std::filesystem::path upper, work;         ///< absolute; both empty: nothing is written
  std::vector<std::pair<std::string, std::string>> options{};  ///< others; an empty value: a flag

  friend bool operator==(const OverlaySource&, const OverlaySource&) = default;
};

/// The file system, attached nowhere (mount_tree.hpp). Throws system, naming the directory or the option.
UniqueFd make_overlay(const OverlaySource& source);

}  // namespace husk::runtime
