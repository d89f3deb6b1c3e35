// SPDX-License-Identifier: Apache-2.0
// Integers in JSON that other processes wrote.
#pragma once

#include <concepts>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

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

/// The same, returned.
template <std::integral T>
T get_integer(const nlohmann::json& value) {
  T number{};
  read_integer(value, number);
  return number;
}

}  // namespace husk
