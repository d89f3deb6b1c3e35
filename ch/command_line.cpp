// SPDX-License-Identifier: Apache-2.0
#include "ch/command_line.hpp"

#include <algorithm>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/parse_number.hpp"
#include "lib/base/text.hpp"

namespace husk::ch {
namespace {

/// The value of "--name VALUE" or "--name=VALUE"; empty if there is none.
std::optional<std::string> find_option(const std::vector<std::string>& arguments,
                                       const std::string& name) {
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == name && i + 1 < arguments.size()) return arguments[i + 1];
    if (argument.starts_with(name + "=")) return argument.substr(name.size() + 1);
  }
  return std::nullopt;
}

int read_api_socket(const std::vector<std::string>& arguments) {
  const auto value = find_option(arguments, "--api-socket");
  if (!value) throw Error(Errc::invalid_argument, "--api-socket: missing");
  const auto fd = value->starts_with("fd=") ? parse_number<int>(std::string_view(*value).substr(3))
                                            : std::nullopt;
  // The standard streams are no sockets of libvirt's.
  if (!fd || *fd <= 2)
    throw Error(Errc::invalid_argument, "--api-socket: not fd=N: " + quote(*value));
  return *fd;
}

std::optional<std::string> read_event_monitor(const std::vector<std::string>& arguments) {
  const auto value = find_option(arguments, "--event-monitor");
  // Another value ("fd=N") names no FIFO, and libvirt opens none.
  if (!value || !value->starts_with("path=")) return std::nullopt;
  return value->substr(5);
}

}  // namespace

CommandLine read_command_line(const std::vector<std::string>& arguments) {
  CommandLine line;
  if (arguments.empty() || arguments[0].find('/') == std::string::npos)
    throw Error(Errc::invalid_argument, "only libvirt may run this program, by a link to it");
  line.folder = std::filesystem::path(arguments[0]).parent_path();
  line.asks_version =
      std::ranges::any_of(arguments.begin() + 1, arguments.end(),
                          [](const auto& a) { return a == "--version" || a == "-V"; });
  if (line.asks_version) return line;
  line.api_socket = read_api_socket(arguments);
  line.event_monitor = read_event_monitor(arguments);
  return line;
}

}  // namespace husk::ch
