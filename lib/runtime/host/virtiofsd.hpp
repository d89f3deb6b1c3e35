// SPDX-License-Identifier: Apache-2.0
// The program that serves a VM's share. There are two of the name: one in Rust, and QEMU's in C (Debian 12), with
// other options.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace husk::runtime {

struct Virtiofsd {
  std::filesystem::path program;
  bool is_rust = false;
  std::string version = {};
};

/// `configured`, or else the first that is there of those that distributions install. Throws unsupported with the paths
/// where none is there.
std::filesystem::path find_virtiofsd(const std::optional<std::filesystem::path>& configured);

/// What `virtiofsd --version` has printed says which it is. Empty: it is neither.
std::optional<bool> is_rust_version(const std::string& printed);

/// Asks the program for its version, which takes as long as starting it. Throws unsupported with the path where it is no
/// virtiofsd, system.
Virtiofsd identify_virtiofsd(const std::filesystem::path& program);

}  // namespace husk::runtime
