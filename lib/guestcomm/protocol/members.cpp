// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/members.hpp"

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"

namespace husk::guestcomm {

using nlohmann::json;

void refuse(const std::string& what) {
  throw Error(Errc::invalid_argument, "malformed message: " + what);
}

const json& member(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key)) refuse(std::string(key) + " is missing");
  return object.at(key);
}

std::string get_string(const json& object, const char* key) {
  const json& value = member(object, key);
  if (!value.is_string()) refuse(std::string(key) + " is not a string");
  return value.get<std::string>();
}

std::optional<std::string> get_optional_string(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key)) return std::nullopt;
  return get_string(object, key);
}

bool get_bool(const json& object, const char* key) {
  const json& value = member(object, key);
  if (!value.is_boolean()) refuse(std::string(key) + " is not a boolean");
  return value.get<bool>();
}

std::int64_t get_int64(const json& object, const char* key) {
  const json& value = member(object, key);
  if (!value.is_number_integer()) refuse(std::string(key) + " is not an integer");
  // json::get makes a negative number of one above INT64_MAX.
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX)
    refuse(std::string(key) + " is out of range");
  return value.get<std::int64_t>();
}

std::int64_t get_int64_within(const json& object, const char* key, std::int64_t least,
                              std::int64_t most) {
  const std::int64_t number = get_int64(object, key);
  if (number < least || number > most) refuse(std::string(key) + " is out of range");
  return number;
}

int get_int(const json& object, const char* key) {
  return static_cast<int>(get_int64_within(object, key, INT32_MIN, INT32_MAX));
}

std::uint16_t get_uint16(const json& object, const char* key) {
  return static_cast<std::uint16_t>(get_int64_within(object, key, 0, UINT16_MAX));
}

StreamTokens get_stdio(const json& object) {
  try {
    return read_stdio<std::string>(member(object, "stdio"));
  } catch (const json::exception& e) {
    refuse(std::string("stdio: ") + e.what());
  }
}

std::string harmless(std::string text) {
  constexpr std::size_t max_text_bytes = 4u << 10;
  if (text.size() > max_text_bytes) text.resize(max_text_bytes);
  return one_line(std::move(text), '?');
}

}  // namespace husk::guestcomm
