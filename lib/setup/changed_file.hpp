// SPDX-License-Identifier: Apache-2.0
// A file of the administrator's that is changed, and its backup.
#pragma once

#include <filesystem>
#include <string>

namespace husk::setup {

/// The text of the file; empty where there is none. Throws system, invalid_argument for more than 1 MiB.
std::string read_or_empty(const std::filesystem::path& file);

/// Writes `text` in place of the file, which keeps its owner and mode (0644 where there was none); a symbolic link
/// stays, and what it leads to is changed. Before that it copies the file to the first of FILE.before-husk,
/// FILE.before-husk.2 and so on that is not there. Returns the copy's path; empty where there was no file. Makes a missing
/// directory. Throws system; the file is then as before.
std::filesystem::path change_file(const std::filesystem::path& file, const std::string& text);

}  // namespace husk::setup
