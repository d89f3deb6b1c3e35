// SPDX-License-Identifier: Apache-2.0
// How a VM's files are served, as far as the administrator, or by his leave the caller, chooses.
#pragma once

#include <optional>
#include <string_view>

namespace husk::runtime {

/// How long the guest trusts what it knows of a file.
enum class FileCache {
  automatic,  ///< a second; content until the file is opened again
  always,     ///< for ever: what the host changes is not seen
  metadata,  ///< names and attributes as `automatic`, and content is read each time; virtiofsd in Rust alone
  never  ///< everything is asked anew
};

/// Reads "auto", "always", "metadata" or "never". Empty: the text is another one.
constexpr std::optional<FileCache> parse_file_cache(std::string_view text) {
  if (text == "auto") return FileCache::automatic;
  if (text == "always") return FileCache::always;
  if (text == "metadata") return FileCache::metadata;
  if (text == "never") return FileCache::never;
  return std::nullopt;
}

inline constexpr unsigned max_file_threads = 64;

struct FileOptions {
  FileCache cache = FileCache::automatic;
  /// That serve at once, beside the one that takes requests; 0: that one serves. Empty: as the files need it.
  std::optional<unsigned> threads{};
  bool operator==(const FileOptions&) const = default;
};

}  // namespace husk::runtime
