// SPDX-License-Identifier: Apache-2.0
// Writing plain values as JSON, leaving out what is absent or empty. Private to lib/oci.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/oci/spec.hpp"

namespace husk::oci {

void to_json(nlohmann::json& json, const IdMapping& mapping);
void to_json(nlohmann::json& json, const Linux& linux_section);

template <class T>
void put(nlohmann::json& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = *value;
}
template <class T>
void put(nlohmann::json& json, const char* key, const std::vector<T>& value) {
  if (!value.empty()) json[key] = value;
}
template <class T>
void put(nlohmann::json& json, const char* key, const std::map<std::string, T>& value) {
  if (!value.empty()) json[key] = value;
}
inline void put(nlohmann::json& json, const char* key, const std::string& value) {
  if (!value.empty()) json[key] = value;
}
inline void put(nlohmann::json& json, const char* key, bool value) {
  if (value) json[key] = true;
}
template <std::integral T>
requires(!std::same_as<T, bool>) void put(nlohmann::json& json, const char* key, T value) {
  if (value != 0) json[key] = value;
}

}  // namespace husk::oci
