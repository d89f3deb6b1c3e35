// SPDX-License-Identifier: Apache-2.0
// husk's output: results on stdout, one error on stderr and in --log.
#pragma once

#include <string>
#include <string_view>

#include "cli/options.hpp"

namespace husk::cli {

/// Prints to stdout. Throws system when stdout cannot be written.
void print(std::string_view text);

/// Formats one line of the log.
struct LogEntry {
  std::string_view level, message;
  std::string_view created_id;  ///< what a create is for; empty for all other commands
};

/// The one final error: one line on stderr, one entry in --log. As JSON it takes the place of what
/// creates of the same id said last, unless --debug is given: Podman reads the file as one object,
/// and gives the same file to each attempt.
void report_error(const GlobalOptions& options, const std::string& message,
                  std::string_view created_id) noexcept;

/// {"level","msg","time"} and with a create "id" (json), or logrus text, appended to the log in a
/// single write.
void append_log_entry(const GlobalOptions& options, const LogEntry& entry);

}  // namespace husk::cli
