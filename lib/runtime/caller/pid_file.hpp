// SPDX-License-Identifier: Apache-2.0
// The file that tells the caller the shim's pid.
#pragma once

#include <sys/types.h>

#include <filesystem>

namespace husk::runtime {

/// The mistakes that a caller can make in the path.
enum class PidFilePlace { good, no_folder, occupied };

/// Looks at the host. no_folder: it is missing or not writable; occupied: by a directory.
PidFilePlace find_pid_file_place(const std::filesystem::path& path);
/// Throws invalid_argument for all places but a good one.
void check_pid_file(const std::filesystem::path& path, PidFilePlace place);
/// Atomically: who sees the file reads the whole pid.
void write_pid_file(const std::filesystem::path& path, pid_t pid);

}  // namespace husk::runtime
