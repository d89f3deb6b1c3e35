// SPDX-License-Identifier: Apache-2.0
// Processes as the records on disk and the messages between husk's processes have them: {"pid": 7, "startTime": 8}.
#pragma once

#include <concepts>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

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

}  // namespace husk
