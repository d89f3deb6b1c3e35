// SPDX-License-Identifier: Apache-2.0
// By what the agent knows the host's husk: AF_VSOCK has no permissions, every process on the host
// may connect.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace husk::agent {

class Secret {
 public:
  static constexpr std::size_t digits = 32;

  /// Throws invalid_argument, without the text, unless it is 32 lower-case hex digits.
  explicit Secret(std::string text);
  /// In a time that does not tell how much of `said` is right.
  bool matches(std::string_view said) const noexcept;

 private:
  std::string text_;
};

bool is_hex(std::string_view text) noexcept;  ///< lower-case digits only; true for none

/// From the file that husk create made; throws system, invalid_argument.
Secret load_secret(const std::filesystem::path& path);

}  // namespace husk::agent
