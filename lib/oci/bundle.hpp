// SPDX-License-Identifier: Apache-2.0
// Loading a bundle (runtime-spec bundle.md): its directory and config.json.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "lib/oci/spec.hpp"

namespace husk::oci {

/// A larger config.json is refused unread.
inline constexpr std::size_t max_config_bytes = 8u << 20;
inline constexpr int max_json_depth = 64;  ///< deeper nesting is refused while parsing

struct Bundle {
  std::filesystem::path directory;  ///< absolute
  std::filesystem::path rootfs;     ///< absolute; exists and is a directory
  Spec spec;
};

/// Parses JSON that comes from outside with a bound on nesting. Throws invalid_argument:
/// "<what>: malformed JSON at byte 17: ..." or "<what>: nested deeper than 64 levels".
nlohmann::json parse_json(std::string_view text, std::string_view what);

/// Reads <directory>/config.json, parses and checks it (check.hpp), resolves root.path against the
/// directory. Changes nothing. Throws invalid_argument; where config.json is missing the text is
/// runc's: "JSON specification file config.json not found".
Bundle load_bundle(const std::filesystem::path& directory);

}  // namespace husk::oci
