// SPDX-License-Identifier: Apache-2.0
#include "lib/base/text.hpp"

namespace husk {
namespace {

constexpr std::size_t max_quoted = 64;

}  // namespace

std::string quote(std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text.substr(0, max_quoted)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += hex[byte >> 4];
      out += hex[byte & 0xf];
    }
  }
  return out + (text.size() > max_quoted ? "\"..." : "\"");
}

std::string one_line(std::string text, char instead) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto is_second = [&](std::size_t i) { return byte(i) >= 0x80 && byte(i) < 0xa0; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (byte(i) < 0x20 || byte(i) == 0x7f) text[i] = instead;
    const bool is_last = i + 1 == text.size();
    if (byte(i) == 0xc2 && (is_last || is_second(i + 1))) text.replace(i, 2, 1, instead);
  }
  return text;
}

std::string one_plain_line(std::string_view lines) {
  while (lines.ends_with('\n')) lines.remove_suffix(1);
  std::string line;
  for (const char c : lines) {
    if (c == '\n') line += " | ";
    if (c >= ' ' && c < '\x7f') line += c;
  }
  return line;
}

bool has_controls(std::string_view text) { return one_line(std::string(text)) != text; }

}  // namespace husk
