// SPDX-License-Identifier: Apache-2.0
// A file of the administrator's that is changed, and its backup.
#pragma once

#include <filesystem>
#include <string>

namespace husk::setup {

/// The text of the file; empty where there is none. Throws system, invalid_argument for more than 1 MiB.
std::string read_or_empty(const std::filesystem::path& file);

/// Writes `text` in place of the file, whose text is `before`. The file keeps its owner and mode (root's, 0644 where there
/// was none), not its ACL. A symbolic link stays, and what it leads to is changed. Before that the text as it was goes to
/// the first of FILE.before-husk, FILE.before-husk.2 and so on that is not there, beside the file itself. Returns the
/// path of this copy; empty where there was no file. Makes a missing directory. Throws wrong_state where the file has
/// another text than `before`, and system; the file is then as before, and no copy is left.
std::filesystem::path change_file(const std::filesystem::path& file, const std::string& before,
                                  const std::string& text);

}  // namespace husk::setup
