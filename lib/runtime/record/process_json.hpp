// SPDX-License-Identifier: Apache-2.0
// Processes as the records on disk have them: {"pid": 7, "startTime": 8}.
#pragma once

#include <concepts>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "lib/base/process.hpp"

namespace husk {

/// json::get converts whatever number there is: of 1e111 it makes an int, which is undefined. Throws
/// json::exception.
template <std::integral T>
void read_integer(const nlohmann::json& value, T& number) {
  using nlohmann::json;
  bool is_one = false;
  if (value.is_number_unsigned())
    is_one = std::in_range<T>(value.get<std::uint64_t>());
  else if (value.is_number_integer())
    is_one = std::in_range<T>(value.get<std::int64_t>());
  if (!is_one)
    throw json::out_of_range::create(406, "not an integer, or out of range: " + value.dump(),
                                     &value);
  number = value.get<T>();
}

inline void to_json(nlohmann::json& json, const ProcessIdentity& process) {
  json = {{"pid", process.pid}, {"startTime", process.start_time}};
}
inline void from_json(const nlohmann::json& json, ProcessIdentity& process) {
  read_integer(json.at("pid"), process.pid);
  read_integer(json.at("startTime"), process.start_time);
}

namespace runtime {

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

}  // namespace runtime
}  // namespace husk
