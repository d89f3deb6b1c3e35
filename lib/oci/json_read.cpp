// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/json_read.hpp"

#include "lib/base/error.hpp"

namespace husk::oci {
namespace {

const char* type_name(const nlohmann::json& value) {
  switch (value.type()) {
    case nlohmann::json::value_t::null:
      return "null";
    case nlohmann::json::value_t::object:
      return "an object";
    case nlohmann::json::value_t::array:
      return "an array";
    case nlohmann::json::value_t::string:
      return "a string";
    case nlohmann::json::value_t::boolean:
      return "a boolean";
    case nlohmann::json::value_t::number_integer:
    case nlohmann::json::value_t::number_unsigned:
    case nlohmann::json::value_t::number_float:
      return "a number";
    default:
      return "something else";
  }
}

// A scalar is worth showing; anything else could be the whole document.
std::string describe(const nlohmann::json& value) {
  const std::string type = type_name(value);
  if (value.is_string()) return type + " " + quote(value.get_ref<const std::string&>());
  if (value.is_number() || value.is_boolean()) return type + " " + value.dump();
  return type;
}

}  // namespace

JsonObject::JsonObject(const nlohmann::json& value, std::string where)
    : json(value), path(std::move(where)) {
  if (!value.is_object())
    throw_wrong_type(value, path.empty() ? "the document" : path, "an object");
}

const nlohmann::json* JsonObject::find(const char* key) const {
  const auto it = json.find(key);
  return it == json.end() || it->is_null() ? nullptr : &*it;
}

void throw_wrong_type(const nlohmann::json& value, const std::string& path, const char* wanted) {
  throw Error(Errc::invalid_argument, path + ": expected " + wanted + ", found " + describe(value));
}

void throw_missing(const std::string& path) {
  throw Error(Errc::invalid_argument, path + ": required but missing");
}

void throw_out_of_range(const nlohmann::json& value, const std::string& path,
                        const std::string& range) {
  throw Error(Errc::invalid_argument, path + ": " + value.dump() + " is not in " + range);
}

void read_value(const nlohmann::json& value, const std::string& path, bool& out) {
  if (!value.is_boolean()) throw_wrong_type(value, path, "true or false");
  out = value.get<bool>();
}

void check_no_nul(std::string_view text, const std::string& path) {
  if (text.find('\0') != std::string_view::npos)
    throw Error(Errc::invalid_argument, path + ": " + quote(text) + " has a NUL byte in it");
}

void read_value(const nlohmann::json& value, const std::string& path, std::string& out) {
  if (!value.is_string()) throw_wrong_type(value, path, "a string");
  out = value.get_ref<const std::string&>();
  check_no_nul(out, path);
}

}  // namespace husk::oci
