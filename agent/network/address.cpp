// SPDX-License-Identifier: Apache-2.0
#include "agent/network/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "agent/network/netlink.hpp"
#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

constexpr std::size_t max_mac = 32;  ///< MAX_ADDR_LEN of linux/netdevice.h

[[noreturn]] void refuse(const std::string& text) {
  throw Error(Errc::invalid_argument, "\"" + text.substr(0, 64) + "\" is not an address");
}

std::uint8_t parse_number(const std::string& text, std::size_t begin, std::size_t end, int base,
                          unsigned max) {
  unsigned number = 0;
  const auto [rest, failure] =
      std::from_chars(text.data() + begin, text.data() + end, number, base);
  if (failure != std::errc{} || rest != text.data() + end || number > max) refuse(text);
  return static_cast<std::uint8_t>(number);
}

std::string text_of(int family, const std::array<std::uint8_t, 16>& bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family, bytes.data(), text.data(), text.size());
  return text.data();
}

std::string mac_of(std::span<const std::uint8_t> bytes) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    if (!text.empty()) text += ':';
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace

std::size_t IpPrefix::size() const { return family == AF_INET ? 4 : 16; }

IpPrefix parse_ip(const std::string& text) {
  IpPrefix made;
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::string address = text.substr(0, slash);
  made.family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  // inet_pton would read up to the first NUL.
  if (address.find('\0') != std::string::npos) refuse(text);
  if (::inet_pton(made.family, address.c_str(), made.bytes.data()) != 1) refuse(text);
  const auto bits = static_cast<unsigned>(made.size() * 8);
  made.length = slash == text.size() ? static_cast<std::uint8_t>(bits)
                                     : parse_number(text, slash + 1, text.size(), 10, bits);
  return made;
}

std::string ip_text(const IpPrefix& address) { return text_of(address.family, address.bytes); }

std::string ip_text(int family, const nlattr* bytes) {
  if (bytes == nullptr) return {};
  std::array<std::uint8_t, 16> whole{};
  const auto* begin = static_cast<const std::uint8_t*>(nla_data(bytes));
  std::copy_n(begin, std::clamp(nla_len(bytes), 0, 16), whole.begin());
  return text_of(family, whole);
}

std::string prefix_text(int family, const nlattr* bytes, unsigned length) {
  const std::string address = bytes == nullptr ? text_of(family, {}) : ip_text(family, bytes);
  return address + "/" + std::to_string(length);
}

std::string canonical_prefix(const std::string& text) {
  if (text.empty()) return {};
  const IpPrefix parsed = parse_ip(text);
  return text_of(parsed.family, parsed.bytes) + "/" + std::to_string(parsed.length);
}

std::string canonical_ip(const std::string& text) {
  if (text.empty()) return {};
  const IpPrefix parsed = parse_ip(text);
  return text_of(parsed.family, parsed.bytes);
}

std::vector<std::uint8_t> parse_mac(const std::string& text) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    if (bytes.size() == max_mac) refuse(text);
    bytes.push_back(parse_number(text, begin, end, 16, 255));
    begin = end + 1;
  }
  return bytes;
}

std::string mac_text(const nlattr* bytes) {
  if (bytes == nullptr) return {};
  const auto* begin = static_cast<const std::uint8_t*>(nla_data(bytes));
  return mac_of({begin, static_cast<std::size_t>(std::max(nla_len(bytes), 0))});
}

std::string canonical_mac(const std::string& text) {
  if (text.empty()) return {};
  return mac_of(parse_mac(text));
}

}  // namespace husk::agent
