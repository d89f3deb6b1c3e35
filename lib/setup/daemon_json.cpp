// SPDX-License-Identifier: Apache-2.0
#include "lib/setup/daemon_json.hpp"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"

namespace husk::setup {
namespace {

using nlohmann::ordered_json;

constexpr const char* runtime_name = "husk";

/// nlohmann's parser takes the last of two equal keys in silence, and makes integers that are too large floating.
ordered_json parse_whole(const std::string& text) {
  std::vector<std::set<std::string>> keys;
  const auto check = [&keys](int /*depth*/, ordered_json::parse_event_t event,
                             ordered_json& value) {
    if (event == ordered_json::parse_event_t::object_start) keys.emplace_back();
    if (event == ordered_json::parse_event_t::object_end) keys.pop_back();
    if (event == ordered_json::parse_event_t::key &&
        !keys.back().insert(value.get<std::string>()).second)
      throw Error(Errc::invalid_argument,
                  "the key " + quote(value.get<std::string>()) + " is there twice");
    if (event == ordered_json::parse_event_t::value && value.is_number_float())
      throw Error(
          Errc::invalid_argument,
          "the number " + value.dump() + " may not come out as it was: add the runtime by hand");
    return true;
  };
  return ordered_json::parse(text, check);
}

ordered_json parse(const std::string& text) {
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return ordered_json::object();
  ordered_json daemon;
  try {
    daemon = parse_whole(text);
  } catch (const ordered_json::exception& error) {
    throw Error(Errc::invalid_argument, one_line(error.what()));
  }
  if (!daemon.is_object()) throw Error(Errc::invalid_argument, "must be a JSON object");
  if (daemon.contains("runtimes") && !daemon["runtimes"].is_object())
    throw Error(Errc::invalid_argument, "runtimes: must be a JSON object");
  return daemon;
}

/// As the first indented line of the text has it; two blanks where none is.
std::string format(const ordered_json& daemon, const std::string& text) {
  int indent = 2;
  char character = ' ';
  const std::size_t line =
      text.find("\n ") != std::string::npos ? text.find("\n ") : text.find("\n\t");
  if (line != std::string::npos) {
    character = text[line + 1];
    const std::size_t end = text.find_first_not_of(character, line + 1);
    indent = static_cast<int>((end == std::string::npos ? text.size() : end) - line - 1);
  }
  return daemon.dump(indent, character) + "\n";
}

}  // namespace

std::optional<std::string> add_runtime(const std::string& text,
                                       const std::filesystem::path& program) {
  ordered_json daemon = parse(text);
  const ordered_json runtime{{"path", program.string()}};
  ordered_json& runtimes = daemon["runtimes"];
  if (!runtimes.contains(runtime_name)) {
    runtimes[runtime_name] = runtime;
    return format(daemon, text);
  }
  const ordered_json& there = runtimes[runtime_name];
  const auto path = there.find("path");
  if (path != there.end() && *path == program.string()) return std::nullopt;
  throw Error(Errc::invalid_argument, "runtimes.husk: is there already, as " + quote(there.dump()) +
                                          "; husk setup --remove docker takes it out");
}

std::optional<std::string> remove_runtime(const std::string& text) {
  ordered_json daemon = parse(text);
  if (!daemon.contains("runtimes") || !daemon["runtimes"].contains(runtime_name))
    return std::nullopt;
  if (daemon.contains("default-runtime") && daemon["default-runtime"] == runtime_name)
    throw Error(Errc::invalid_argument, "default-runtime: is husk; name another one first");
  daemon["runtimes"].erase(runtime_name);
  if (daemon["runtimes"].empty()) daemon.erase("runtimes");
  return format(daemon, text);
}

}  // namespace husk::setup
