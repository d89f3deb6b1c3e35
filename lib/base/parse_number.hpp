// SPDX-License-Identifier: Apache-2.0
// Numbers in texts from users, files and messages.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace husk {

/// The number that is the whole of `text`, as std::from_chars reads it: without white space, "+" or
/// "0x". Empty: `text` is no such number, or Number cannot hold it.
template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  if (error != std::errc{} || end != last) return std::nullopt;
  return number;
}

}  // namespace husk
