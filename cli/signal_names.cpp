// SPDX-License-Identifier: Apache-2.0
#include "cli/signal_names.hpp"

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstring>
#include <optional>

#include "lib/base/error.hpp"
#include "lib/base/parse_number.hpp"

namespace husk::cli {
namespace {

std::optional<int> parse_realtime(std::string_view name) {
  const bool from_min = name.starts_with("RTMIN"), from_max = name.starts_with("RTMAX");
  if (!from_min && !from_max) return std::nullopt;
  const int base = from_min ? SIGRTMIN : SIGRTMAX;
  name.remove_prefix(5);
  if (name.empty()) return base;
  if (name.front() != (from_min ? '+' : '-')) return std::nullopt;
  const auto offset = parse_number<int>(name.substr(1));
  if (!offset || *offset < 0 || *offset > 64) return std::nullopt;
  return from_min ? base + *offset : base - *offset;
}

std::optional<int> parse_name(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (name.starts_with("SIG")) name.erase(0, 3);
  if (const auto realtime = parse_realtime(name)) return realtime;
  if (name == "CLD") return SIGCHLD;
  if (name == "IOT") return SIGABRT;
  if (name == "IO" || name == "POLL") return SIGIO;
  for (int signal = 1; signal < 32; ++signal) {
    const char* known = ::sigabbrev_np(signal);
    if (known != nullptr && name == known) return signal;
  }
  return std::nullopt;
}

}  // namespace

int parse_signal(const std::string& text) {
  auto signal = parse_number<int>(text);
  if (!signal) signal = parse_name(text);
  if (!signal || *signal < 0 || *signal > 64) {
    throw Error(Errc::invalid_argument, "unknown signal \"" + text.substr(0, 64) + "\"");
  }
  return *signal;
}

}  // namespace husk::cli
