// SPDX-License-Identifier: Apache-2.0
// Foreign text in messages for people, which it must neither flood nor steer.
#pragma once

#include <string>
#include <string_view>

namespace husk {

/// Quotes text for errors: double quotes, anything but printable ASCII escaped, cut at 64 characters.
std::string quote(std::string_view text);

/// The same text without control characters, UTF-8's included: U+0080 to U+009F begin with C2.
std::string one_line(std::string text, char instead = ' ');
/// The lines of a program's or a kernel's log as one, with " | " between them and printable ASCII alone.
std::string one_plain_line(std::string_view lines);
/// Whether one_line would change it.
bool has_controls(std::string_view text);

}  // namespace husk
