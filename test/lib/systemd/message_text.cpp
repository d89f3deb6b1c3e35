// SPDX-License-Identifier: Apache-2.0
#include "test/lib/systemd/message_text.hpp"

#include <cstdint>

namespace husk::systemd {
namespace {

template <typename Value>
std::string read_number(sd_bus_message* message, char type) {
  Value value{};
  sd_bus_message_read_basic(message, type, &value);
  return std::to_string(value);
}

std::string read_basic(sd_bus_message* message, char type) {
  switch (type) {
    case 'b':
      return read_number<int>(message, type) == "0" ? "false" : "true";
    case 'h':
    case 'i':
      return read_number<std::int32_t>(message, type);
    case 'u':
      return read_number<std::uint32_t>(message, type);
    case 'x':
      return read_number<std::int64_t>(message, type);
    case 't':
      return read_number<std::uint64_t>(message, type);
    case 'd':
      return read_number<double>(message, type);
    default:
      break;
  }
  const char* text = nullptr;
  sd_bus_message_read_basic(message, type, static_cast<void*>(&text));
  return text != nullptr ? text : "";
}

/// The values of the container that was entered.
std::string read_values(sd_bus_message* message) {
  std::string values;
  while (sd_bus_message_at_end(message, 0) == 0) {
    if (!values.empty()) values += ", ";
    values += read_value(message);
  }
  return values;
}

}  // namespace

std::string read_value(sd_bus_message* message) {
  char type = 0;
  const char* contents = nullptr;
  if (sd_bus_message_peek_type(message, &type, &contents) <= 0) return {};
  if (contents == nullptr) return read_basic(message, type);
  sd_bus_message_enter_container(message, type, contents);
  const std::string values = read_values(message);
  sd_bus_message_exit_container(message);
  return type == 'a' ? "[" + values + "]" : "(" + values + ")";
}

std::map<std::string, std::string> read_properties(sd_bus_message* message) {
  std::map<std::string, std::string> properties;
  sd_bus_message_enter_container(message, 'a', "(sv)");
  while (sd_bus_message_enter_container(message, 'r', "sv") > 0) {
    const std::string name = read_basic(message, 's');
    const char* type = nullptr;
    sd_bus_message_peek_type(message, nullptr, &type);
    sd_bus_message_enter_container(message, 'v', type);
    properties[name] = std::string(type) + " " + read_value(message);
    sd_bus_message_exit_container(message);
    sd_bus_message_exit_container(message);
  }
  sd_bus_message_exit_container(message);
  return properties;
}

}  // namespace husk::systemd
