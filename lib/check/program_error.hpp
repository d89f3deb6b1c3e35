// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace husk::check {

/// The words for a file system that has not answered within `patience`.
std::string does_not_answer(const std::string& path, std::chrono::milliseconds patience);

/// Why root cannot execute the program; empty: root can. Takes no longer than `patience`. Forks: call while the process
/// has one thread.
std::string find_program_error(const std::filesystem::path& program,
                               std::chrono::milliseconds patience);

}  // namespace husk::check
