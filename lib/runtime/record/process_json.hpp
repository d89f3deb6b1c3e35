// SPDX-License-Identifier: Apache-2.0
// Reading records for clean-up: a field that cannot be read is left out.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "lib/base/process_json.hpp"

namespace husk::runtime {

/// Reads for clean-up: returns nothing where the value is missing or of another type.
template <typename T>
std::optional<T> read_if_possible(const nlohmann::json& value) try {
  return value.get<T>();
} catch (const nlohmann::json::exception&) {
  return std::nullopt;
}
template <typename T>
std::optional<T> read_if_possible(const nlohmann::json& object, const char* key) try {
  return object.at(key).get<T>();
} catch (const nlohmann::json::exception&) {
  return std::nullopt;
}

/// Likewise: the elements that can be read.
template <typename T>
std::vector<T> read_each_if_possible(const nlohmann::json& object, const char* key) {
  std::vector<T> found;
  for (const auto& element :
       read_if_possible<nlohmann::json::array_t>(object, key).value_or(nlohmann::json::array_t{})) {
    if (auto value = read_if_possible<T>(element)) found.push_back(std::move(*value));
  }
  return found;
}

}  // namespace husk::runtime
