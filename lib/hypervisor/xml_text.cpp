// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/xml_text.hpp"

#include <cstddef>

#include "lib/base/error.hpp"

namespace husk::hypervisor {
namespace {

constexpr char32_t not_a_character = 0xffffffff;

std::size_t sequence_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  if (lead >= 0xf0 && lead < 0xf5) return 4;
  return 0;
}

/// The character at the start of `text`, and how long it is there; RFC 3629, overlong forms and
/// surrogates refused.
char32_t decode(std::string_view text, std::size_t& length) {
  const auto lead = static_cast<unsigned char>(text.front());
  length = sequence_length(lead);
  if (length == 0 || length > text.size()) return not_a_character;
  if (length == 1) return lead;
  char32_t value = lead & (0xffU >> (length + 1));
  for (const char c : text.substr(1, length - 1)) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0U) != 0x80U) return not_a_character;
    value = (value << 6U) | (byte & 0x3fU);
  }
  constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < smallest[length] || value > 0x10ffff) return not_a_character;
  return value;
}

/// XML 1.0, production [2] "Char", without the three control characters that it does allow: they
/// would not come out of an attribute as they went in.
bool is_allowed(char32_t c) {
  if (c < 0x20 || c == 0x7f) return false;
  return c < 0xd800 || (c > 0xdfff && c < 0xfffe) || (c > 0xffff && c <= 0x10ffff);
}

}  // namespace

std::string xml_escape(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    std::size_t length = 0;
    const char32_t c = decode(text, length);
    if (!is_allowed(c)) {
      throw Error(Errc::invalid_argument,
                  "control character or broken UTF-8 in the VM's configuration");
    }
    switch (c) {
      case U'<':
        escaped += "&lt;";
        break;
      case U'>':
        escaped += "&gt;";
        break;
      case U'&':
        escaped += "&amp;";
        break;
      case U'"':
        escaped += "&quot;";
        break;
      case U'\'':
        escaped += "&apos;";
        break;
      default:
        escaped += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return escaped;
}

std::string xml_element(const std::string& name, std::string_view text) {
  return "<" + name + ">" + xml_escape(text) + "</" + name + ">";
}

}  // namespace husk::hypervisor
