// SPDX-License-Identifier: Apache-2.0
// Reading members of messages that the other side sent. Private to this directory. All throw
// invalid_argument "malformed message: ...".
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "lib/base/error.hpp"

namespace husk::guestcomm {

[[noreturn]] inline void refuse(const std::string& what) {
  throw Error(Errc::invalid_argument, "malformed message: " + what);
}

inline const nlohmann::json& member(const nlohmann::json& object, const char* key) {
  if (!object.is_object() || !object.contains(key)) refuse(std::string(key) + " is missing");
  return object.at(key);
}

inline std::string get_string(const nlohmann::json& object, const char* key) {
  const nlohmann::json& value = member(object, key);
  if (!value.is_string()) refuse(std::string(key) + " is not a string");
  return value.get<std::string>();
}

}  // namespace husk::guestcomm
