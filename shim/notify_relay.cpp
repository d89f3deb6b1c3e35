// SPDX-License-Identifier: Apache-2.0
#include "shim/notify_relay.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <exception>

#include "lib/base/text.hpp"

namespace husk::shim {
namespace {

constexpr std::array<std::string_view, 8> names{
    "READY", "RELOADING", "STOPPING", "STATUS",
    "ERRNO", "BUSERROR",  "WATCHDOG", "EXTEND_TIMEOUT_USEC"};

bool is_passed_on(std::string_view line) {
  const std::size_t equals = line.find('=');
  return equals != std::string_view::npos &&
         std::ranges::find(names, line.substr(0, equals)) != names.end() && !has_controls(line);
}

}  // namespace

std::string notify_lines(std::string_view text) {
  std::string kept;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (is_passed_on(line)) kept.append(line).push_back('\n');
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return kept;
}

void NotifyRelay::pass_on(std::string_view text) const noexcept {
  if (!caller_) return;
  try {
    const std::string lines = notify_lines(text);
    if (!lines.empty())
      ::send(caller_.get(), lines.data(), lines.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  } catch (const std::exception&) {
    // A message for which there is no memory is lost.
  }
}

}  // namespace husk::shim
