// SPDX-License-Identifier: Apache-2.0
// Addresses as text and as the kernel's bytes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

struct nlattr;

namespace husk::agent {

struct IpPrefix {
  std::uint8_t family = 0;  ///< AF_INET, AF_INET6
  std::array<std::uint8_t, 16> bytes{};
  std::uint8_t length = 0;  ///< of the prefix, in bits

  std::size_t size() const;  ///< in bytes
  bool is_any() const { return bytes == std::array<std::uint8_t, 16>{}; }
};

/// "10.0.0.1/8", "fd00::1"; without a length it is the whole address. Throws invalid_argument.
IpPrefix parse_ip(const std::string& text);
std::string ip_text(const IpPrefix& address);          ///< without the length
std::string ip_text(int family, const nlattr* bytes);  ///< empty: no attribute
std::string prefix_text(int family, const nlattr* bytes, unsigned length);
/// The text as it would be written for the kernel's bytes: "FD00:0::1/64" is "fd00::1/64". Empty stays empty.
std::string canonical_prefix(const std::string& text);
std::string canonical_ip(const std::string& text);

/// "02:42:ac:11:00:02", 32 bytes at most, as the kernel's. Throws invalid_argument.
std::vector<std::uint8_t> parse_mac(const std::string& text);
std::string mac_text(const nlattr* bytes);  ///< empty: no attribute
/// As mac_text writes the bytes of the text. Empty stays empty. Throws invalid_argument.
std::string canonical_mac(const std::string& text);

}  // namespace husk::agent
