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
};

/// What `virtiofsd --version` has printed says which it is. Empty: it is neither.
std::optional<bool> is_rust_version(const std::string& printed);

/// Asks `configured` for its version, or else the first that is there of those that distributions install. Throws
/// unsupported with the paths where none is there or that one is no virtiofsd, system.
Virtiofsd find_virtiofsd(const std::optional<std::filesystem::path>& configured);

}  // namespace husk::runtime
