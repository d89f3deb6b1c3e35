// SPDX-License-Identifier: Apache-2.0
// Reading members of messages that the other side sent. Private to this directory. All throw
// invalid_argument "malformed message: ...".
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lib/guestcomm/protocol/stdio.hpp"

namespace husk::guestcomm {

[[noreturn]] void refuse(const std::string& what);
const nlohmann::json& member(const nlohmann::json& object, const char* key);

std::string get_string(const nlohmann::json& object, const char* key);
std::optional<std::string> get_optional_string(const nlohmann::json& object, const char* key);
bool get_bool(const nlohmann::json& object, const char* key);
std::int64_t get_int64(const nlohmann::json& object, const char* key);
/// Refuses a number that is not from `least` to `most`.
std::int64_t get_int64_within(const nlohmann::json& object, const char* key, std::int64_t least,
                              std::int64_t most);
int get_int(const nlohmann::json& object, const char* key);
std::uint16_t get_uint16(const nlohmann::json& object, const char* key);
StreamTokens get_stdio(const nlohmann::json& object);  ///< the member "stdio"

/// The other side's text for people: cut to 4 KiB, on one line, without control characters.
std::string harmless(std::string text);

}  // namespace husk::guestcomm
