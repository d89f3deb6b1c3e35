// SPDX-License-Identifier: Apache-2.0
// Values of options that are more than a number or a text.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace husk::cli {

/// Bytes: "67108864", "64m", "64MiB"; -1 for "-1", no limit. Docker's units.RAMInBytes, without
/// fractions. Throws invalid_argument, naming the option.
std::int64_t parse_size(const std::string& option, const std::string& text);

/// Go's time.ParseDuration: "5s", "1m30s", "1.5s", "200ms", in whole milliseconds,
/// at least one. Throws invalid_argument, naming the option, for a text of another form and for more
/// than a day; with runc's text for none ("0", "0s") and for less than none.
std::chrono::milliseconds parse_interval(const std::string& option, const std::string& text);

}  // namespace husk::cli
