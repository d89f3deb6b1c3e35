// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/kernel_settings.hpp"

#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {
namespace {

using nlohmann::json;

constexpr const char *least_key = "at_least", *exact_key = "exact";

KernelParameters read_parameters(const json& settings, const char* key) {
  const json& object = member(settings, key);
  if (!object.is_object()) refuse(std::string(key) + " is not an object");
  KernelParameters parameters;
  for (const auto& [path, value] : object.items()) {
    if (!value.is_string()) refuse(std::string(key) + ": a value is not a string");
    parameters[path] = value.get<std::string>();
  }
  return parameters;
}

}  // namespace

std::string to_text(const KernelSettings& settings) {
  return json{{least_key, settings.at_least}, {exact_key, settings.exact}}.dump();
}

KernelSettings parse_kernel_settings(const std::string& text) {
  const json settings = json::parse(text, nullptr, false);
  if (!settings.is_object()) refuse("kernel settings are not an object");
  return {.at_least = read_parameters(settings, least_key),
          .exact = read_parameters(settings, exact_key)};
}

}  // namespace husk::guestcomm
