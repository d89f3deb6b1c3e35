// SPDX-License-Identifier: Apache-2.0
#include "cli/values.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"

namespace husk::cli {
namespace {

[[noreturn]] void refuse(const std::string& option, const std::string& text, const char* why) {
  throw Error(Errc::invalid_argument, option + ": " + quote(text) + " " + why);
}

/// The power of 1024 that a unit stands for: 0 for none and for bytes.
std::optional<unsigned> power_of(std::string unit) {
  std::transform(unit.begin(), unit.end(), unit.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (unit.ends_with("ib") && unit.size() == 3) unit.resize(1);
  if (unit.ends_with("b")) unit.pop_back();
  if (unit.empty()) return 0;
  static constexpr std::string_view units = "kmgtp";
  const std::size_t found = units.find(unit);
  if (unit.size() > 1 || found == std::string_view::npos) return std::nullopt;
  return static_cast<unsigned>(found) + 1;
}

/// Takes "1.5m" off the front of a duration; nothing for a text of another form.
std::optional<double> take_milliseconds(std::string_view& rest) {
  static constexpr std::pair<std::string_view, double> units[] = {
      {"ns", 1e-6}, {"us", 1e-3},       {"\xc2\xb5s", 1e-3}, {"\xce\xbcs", 1e-3},
      {"ms", 1},    {"h", 3'600'000.0}, {"m", 60'000},       {"s", 1000}};
  // from_chars would take "-1", "inf" and "nan", too.
  if (rest.find_first_of("0123456789.") != 0) return std::nullopt;
  double number = 0;
  const auto [end, error] =
      std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
  if (error != std::errc{}) return std::nullopt;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  for (const auto& [unit, length] : units) {
    if (!rest.starts_with(unit)) continue;
    rest.remove_prefix(unit.size());
    return number * length;
  }
  return std::nullopt;
}

}  // namespace

std::int64_t parse_size(const std::string& option, const std::string& text) {
  std::int64_t number = 0, bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text == "-1") return -1;
  const auto power = power_of(std::string(end, text.data() + text.size()));
  const bool is_wrong =
      error != std::errc{} || !power || number < 0 ||
      __builtin_mul_overflow(number, std::int64_t{1} << (10 * power.value_or(0)), &bytes);
  if (is_wrong) refuse(option, text, "is not a valid size");
  return bytes;
}

std::chrono::milliseconds parse_interval(const std::string& option, const std::string& text) {
  constexpr double day = 24 * 3.6e6;
  constexpr const char* wrong = "is not a valid duration, such as 5s or 200ms";
  std::string_view rest = text;
  const bool is_negative = rest.starts_with('-');
  if (is_negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest.empty()) refuse(option, text, wrong);
  double total = 0;
  if (rest == "0") rest = {};  // alone it needs no unit
  while (!rest.empty()) {
    const auto part = take_milliseconds(rest);
    if (!part) refuse(option, text, wrong);
    total += *part;
  }
  if (is_negative || total <= 0)
    throw Error(Errc::invalid_argument, "duration interval must be greater than 0");
  if (total > day) refuse(option, text, "is longer than a day");
  return std::chrono::milliseconds{std::max<std::int64_t>(1, std::llround(total))};
}

}  // namespace husk::cli
