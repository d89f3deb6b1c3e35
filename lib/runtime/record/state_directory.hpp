// SPDX-License-Identifier: Apache-2.0
// One container's directory below the root, and what husk has in it: state.json, and temporary files
// of it. A root may be shared with other runtimes, and a caller may name any directory as one: nothing
// else is believed or removed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lib/runtime/record/container_record.hpp"

namespace husk::runtime {

/// <directory>/state.json
std::filesystem::path record_path(const std::filesystem::path& directory);

/// Atomically. Throws system; invalid_argument for a record too large to be read again.
void write_record(const std::filesystem::path& directory, const ContainerRecord& record);

/// The record's text; empty: there is none. Throws invalid_argument when others than this process's
/// user could have written it, system.
std::optional<std::string> find_record(const std::filesystem::path& directory);

/// Throws invalid_argument, naming it, for a file in the directory that is not husk's, and for a
/// directory that others may write to. Fine if there is no directory.
void check_own_directory(const std::filesystem::path& directory);

/// Removes husk's own files and the directory; fine if there is none. Throws invalid_argument, and
/// removes nothing, when it holds others; system for a mount point, or a file that cannot be removed.
void remove_state_directory(const std::filesystem::path& directory);

/// Makes the root with its missing parents, for this process's user alone. Throws invalid_argument for
/// one that is there and that others may write to; system.
void make_state_root(const std::filesystem::path& root);

}  // namespace husk::runtime
