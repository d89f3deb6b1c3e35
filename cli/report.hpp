// SPDX-License-Identifier: Apache-2.0
// What husk says: results on stdout, one error on stderr and in --log.
#pragma once

#include <string>
#include <string_view>

#include "cli/options.hpp"

namespace husk::cli {

/// To stdout; throws system when it cannot be written.
void print(std::string_view text);

/// The one final error: one line on stderr, one entry in --log.
void report_error(const GlobalOptions& options, const std::string& message) noexcept;

/// One entry {"level","msg","time"} (json) or logrus text, appended to the log in a single write.
void append_log_entry(const GlobalOptions& options, std::string_view level,
                      std::string_view message);

}  // namespace husk::cli
