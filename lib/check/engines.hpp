// SPDX-License-Identifier: Apache-2.0
// The container engines of a host, and whether their configuration names husk.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace husk::check {

struct Engine {
  std::string name;  ///< "Docker"
  /// Where husk is named, or else where a person would name it.
  std::filesystem::path file;
  bool knows_husk = false;
  std::string error{};  ///< the file cannot be read or parsed: what and where
  /// The program, and why it fails, of a runtime in `file` that is named husk and cannot be executed. Empty: none.
  std::string program_error{};
};

/// Finds the engines that are installed below `root` ("/"), and reads the files that they read: at most 1 MiB of each, and
/// 100 files of a folder. An engine knows husk if a runtime's program is named husk. Looks at these programs for 5 s at
/// most each. Forks: call while the process has one thread.
std::vector<Engine> find_engines(const std::filesystem::path& root);

}  // namespace husk::check
