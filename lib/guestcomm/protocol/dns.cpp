// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/dns.hpp"

#include <string_view>

#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {
namespace {

using nlohmann::json;

std::uint32_t read_number(const json& object) {
  const json& value = member(object, "number");
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > UINT32_MAX)
    refuse("DNS message: number is not an integer");
  return value.get<std::uint32_t>();
}

constexpr std::string_view digits = "0123456789abcdef";

/// JSON has no bytes.
std::string write_hex(std::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += digits[byte >> 4U];
    text += digits[byte & 15U];
  }
  return text;
}

std::string read_message(const json& object, std::size_t max_bytes) {
  const json& value = member(object, "message");
  if (!value.is_string()) refuse("DNS message: not hexadecimal, or too long");
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() % 2 != 0 || text.size() / 2 > max_bytes ||
      text.find_first_not_of(digits) != std::string::npos) {
    refuse("DNS message: not hexadecimal, or too long");
  }
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    bytes += static_cast<char>(digits.find(text[i]) << 4U | digits.find(text[i + 1]));
  }
  return bytes;
}

}  // namespace

std::string with_dns_length(const std::string& message) {
  const std::size_t size = message.size();
  return std::string{static_cast<char>(size >> 8U), static_cast<char>(size & 255U)} + message;
}

std::optional<std::size_t> dns_length(std::string_view received) {
  if (received.size() < dns_length_bytes) return std::nullopt;
  return static_cast<std::size_t>(static_cast<unsigned char>(received[0])) << 8U |
         static_cast<unsigned char>(received[1]);
}

void to_json(json& j, const DnsQuery& v) {
  j = json{{"number", v.number}, {"over_tcp", v.over_tcp}, {"message", write_hex(v.message)}};
}
void from_json(const json& j, DnsQuery& v) {
  v.number = read_number(j);
  const json& over_tcp = member(j, "over_tcp");
  if (!over_tcp.is_boolean()) refuse("over_tcp is not a boolean");
  v.over_tcp = over_tcp.get<bool>();
  v.message = read_message(j, max_dns_query_bytes);
}

void to_json(json& j, const DnsAnswer& v) {
  j = json{{"number", v.number}, {"message", write_hex(v.message)}};
}
void from_json(const json& j, DnsAnswer& v) {
  v.number = read_number(j);
  v.message = read_message(j, max_dns_answer_bytes);
}

}  // namespace husk::guestcomm
