// SPDX-License-Identifier: Apache-2.0
// Foreign text in messages for people, which it must neither flood nor steer.
#pragma once

#include <string>
#include <string_view>

namespace husk {

/// For error texts: in double quotes, anything but printable ASCII escaped, cut at 64 characters.
std::string quote(std::string_view text);

/// The same text with a blank for each control character.
std::string one_line(std::string text);

}  // namespace husk
