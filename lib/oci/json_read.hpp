// SPDX-License-Identifier: Apache-2.0
// Reading JSON into plain values, with errors that name the field by its whole path. Private to
// lib/oci. A struct is readable when this namespace has a read_value(json, path, Struct&).
//
// null is absent, as in Go's decoder, except inside arrays and maps. Numbers are integers only:
// 1e3 and 1.5 are refused, and so is what does not fit.
#pragma once

#include <concepts>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/text.hpp"

namespace husk::oci {

/// One object of the document and the path that led to it ("" for the document itself).
struct JsonObject {
  /// Throws invalid_argument unless `value` is an object.
  JsonObject(const nlohmann::json& value, std::string where);
  const nlohmann::json& json;
  std::string path;

  std::string path_of(const char* key) const { return path.empty() ? key : path + "." + key; }
  const nlohmann::json* find(const char* key) const;  ///< null if absent, or null in the JSON
};

/// Throws invalid_argument "<path>: expected <wanted>, found a string".
[[noreturn]] void throw_wrong_type(const nlohmann::json& value, const std::string& path,
                                   const char* wanted);
[[noreturn]] void throw_missing(const std::string& path);
[[noreturn]] void throw_out_of_range(const nlohmann::json& value, const std::string& path,
                                     const std::string& range);

void read_value(const nlohmann::json& value, const std::string& path, bool& out);
/// Refuses NUL bytes: the kernel would see another string than the one that was checked.
void read_value(const nlohmann::json& value, const std::string& path, std::string& out);
void check_no_nul(std::string_view text, const std::string& path);

template <std::integral T>
requires(!std::same_as<T, bool>) void read_value(const nlohmann::json& value,
                                                 const std::string& path, T& out) {
  if (!value.is_number())
    throw_wrong_type(value, path, std::unsigned_integral<T> ? "an unsigned number" : "a number");
  if (!value.is_number_integer()) throw_wrong_type(value, path, "a whole number");
  const bool fits = value.is_number_unsigned() ? std::in_range<T>(value.get<std::uint64_t>())
                                               : std::in_range<T>(value.get<std::int64_t>());
  if (!fits)
    throw_out_of_range(value, path,
                       std::to_string(std::numeric_limits<T>::min()) + " to " +
                           std::to_string(std::numeric_limits<T>::max()));
  out = value.get<T>();
}

template <class T>
void read_value(const nlohmann::json& value, const std::string& path, std::vector<T>& out) {
  if (!value.is_array()) throw_wrong_type(value, path, "an array");
  out.clear();
  out.reserve(value.size());
  for (const auto& element : value) {
    const std::string element_path = path + "[" + std::to_string(out.size()) + "]";
    read_value(element, element_path, out.emplace_back());
  }
}

template <class T>
void read_value(const nlohmann::json& value, const std::string& path,
                std::map<std::string, T>& out) {
  if (!value.is_object()) throw_wrong_type(value, path, "an object");
  out.clear();
  for (const auto& [key, element] : value.items()) {
    check_no_nul(key, path);
    read_value(element, path + "[" + quote(key) + "]", out[key]);
  }
}

/// Leaves `out` alone if the field is absent.
template <class T>
void read_optional(const JsonObject& object, const char* key, T& out) {
  if (const auto* value = object.find(key)) read_value(*value, object.path_of(key), out);
}

template <class T>
void read_optional(const JsonObject& object, const char* key, std::optional<T>& out) {
  if (const auto* value = object.find(key)) read_value(*value, object.path_of(key), out.emplace());
}

template <class T>
void read_required(const JsonObject& object, const char* key, T& out) {
  const auto* value = object.find(key);
  if (value == nullptr) throw_missing(object.path_of(key));
  read_value(*value, object.path_of(key), out);
}

}  // namespace husk::oci
