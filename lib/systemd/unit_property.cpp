// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/unit_property.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/parse_number.hpp"

namespace husk::systemd {
namespace {

constexpr std::string_view annotation_prefix = "org.systemd.property.";
constexpr std::size_t max_value_bytes = 4096;

[[noreturn]] void refuse(const std::string& what) { throw Error(Errc::invalid_argument, what); }

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// Takes a quoted string off the front of `text`. GVariant's escapes but \\, \' and \" are not
/// needed for what units have.
std::string take_string(std::string_view& text) {
  const char quote = text.empty() ? '\0' : text.front();
  if (quote != '\'' && quote != '"') refuse("a quoted string is expected");
  std::string value;
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == quote) {
      text = trim(text.substr(at + 1));
      return value;
    }
    if (text[at] == '\\' && ++at == text.size()) break;
    value += text[at];
  }
  refuse("unterminated string");
}

std::vector<std::string> take_list(std::string_view text) {
  std::vector<std::string> values;
  text = trim(text.substr(1));
  while (!text.empty() && text != "]") {
    values.push_back(take_string(text));
    if (text.starts_with(',')) text = trim(text.substr(1));
  }
  if (text != "]") refuse("unterminated list");
  return values;
}

template <typename Number>
UnitProperty::Value number_or_refuse(std::string_view text, const char* type) {
  if (const auto number = parse_number<Number>(text)) return *number;
  refuse("\"" + std::string(text.substr(0, 64)) + "\" is not a valid " + type);
}

UnitProperty::Value parse_typed(std::string_view type, std::string_view text) {
  if (type == "int32") return number_or_refuse<std::int32_t>(text, "int32");
  if (type == "uint32") return number_or_refuse<std::uint32_t>(text, "uint32");
  if (type == "int64") return number_or_refuse<std::int64_t>(text, "int64");
  if (type == "uint64") return number_or_refuse<std::uint64_t>(text, "uint64");
  if (type == "double") return number_or_refuse<double>(text, "double");
  refuse("type " + std::string(type.substr(0, 64)) + " is not supported");
}

/// "FooSec" with any kind of number: microseconds under "FooUSec".
UnitProperty in_microseconds(const UnitProperty& property) {
  const double seconds = std::visit(
      [](const auto& value) -> double {
        using Value = std::decay_t<decltype(value)>;
        if constexpr (std::is_arithmetic_v<Value> && !std::is_same_v<Value, bool>) {
          return static_cast<double>(value);
        } else {
          refuse("seconds must be a number");
        }
      },
      property.value);
  constexpr double micro = 1e6;
  if (!(seconds >= 0) || seconds * micro >= std::ldexp(1.0, 64)) refuse("seconds out of range");
  return {property.name.substr(0, property.name.size() - 3) + "USec",
          static_cast<std::uint64_t>(seconds * micro)};
}

UnitProperty parse_property(const std::string& name, const std::string& text) {
  // runc's pattern for names; anything else is no property of systemd's.
  const bool valid = name.size() >= 3 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0;
                     });
  if (!valid) refuse("not the name of a property");
  const UnitProperty property{name, parse_property_value(text)};
  return name.ends_with("Sec") && !name.ends_with("USec") ? in_microseconds(property) : property;
}

}  // namespace

UnitProperty::Value parse_property_value(const std::string& whole) {
  if (whole.size() > max_value_bytes) refuse("too long");
  std::string_view text = trim(whole);
  if (text == "true") return true;
  if (text == "false") return false;
  if (text.starts_with('[')) return take_list(text);
  if (text.starts_with('\'') || text.starts_with('"')) {
    std::string value = take_string(text);
    if (!text.empty()) refuse("more than one value");
    return value;
  }
  const std::size_t blank = text.find(' ');
  if (blank != std::string_view::npos)
    return parse_typed(text.substr(0, blank), trim(text.substr(blank)));
  if (text.find_first_of(".eE") != std::string_view::npos) return parse_typed("double", text);
  return parse_typed("int32", text);
}

std::vector<UnitProperty> unit_properties(const std::map<std::string, std::string>& annotations) {
  std::vector<UnitProperty> properties;
  for (const auto& annotation : annotations) {
    const std::string& key = annotation.first;
    if (!key.starts_with(annotation_prefix)) continue;
    step("annotations[\"" + key.substr(0, 128) + "\"]", [&] {
      properties.push_back(parse_property(key.substr(annotation_prefix.size()), annotation.second));
    });
  }
  return properties;
}

}  // namespace husk::systemd
