// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace husk::cli {
/// "9", "KILL", "sigkill", "SIGRTMIN+3", "RTMAX-1". Throws invalid_argument "unknown signal ...".
int parse_signal(const std::string& text);
}  // namespace husk::cli
