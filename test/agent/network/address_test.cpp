// SPDX-License-Identifier: Apache-2.0
#include "agent/network/address.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstring>

#include "lib/base/error.hpp"

using namespace husk::agent;
using namespace std::string_literals;

namespace {

/// An attribute as the kernel sends one.
struct RawAttribute {
  explicit RawAttribute(const std::vector<std::uint8_t>& data)
      : bytes(sizeof(nlattr) + data.size()) {
    const nlattr header{static_cast<std::uint16_t>(bytes.size()), 1};
    std::memcpy(bytes.data(), &header, sizeof header);
    if (!data.empty()) std::memcpy(bytes.data() + sizeof header, data.data(), data.size());
  }
  const nlattr* get() const { return reinterpret_cast<const nlattr*>(bytes.data()); }
  std::vector<std::uint8_t> bytes;
};

}  // namespace

TEST_CASE("address: texts become the kernel's bytes, and come back in its spelling",
          "[agent][network]") {
  for (const auto& [text, prefix] : std::vector<std::pair<std::string, std::string>>{
           {"10.0.0.1", "10.0.0.1/32"},
           {"10.0.0.1/0", "10.0.0.1/0"},
           {"0.0.0.0/0", "0.0.0.0/0"},
           {"FD00:0:0::1", "fd00::1/128"},
           {"::ffff:10.0.0.1/96", "::ffff:10.0.0.1/96"},
           {"2001:DB8:0:0:1:0:0:1/064", "2001:db8::1:0:0:1/64"},
           {"::/0", "::/0"},
           {"", ""}}) {
    CAPTURE(text);
    CHECK(canonical_prefix(text) == prefix);
    CHECK(canonical_ip(text) == prefix.substr(0, prefix.find('/')));
  }
  CHECK(parse_ip("10.1.2.3/8").size() == 4);
  CHECK(parse_ip("::1").size() == 16);
  CHECK(parse_ip("::/64").is_any());
  CHECK_FALSE(parse_ip("0.0.0.1").is_any());
}

TEST_CASE("address: whatever is no address is refused, quoted and cut", "[agent][network]") {
  for (const std::string& text :
       {"eth0"s, "10.0.0"s, "10.0.0.256"s, "10.0.0.1/33"s, "10.0.0.1/"s, "10.0.0.1/-1"s,
        "10.0.0.1/8/8"s, "10.0.0.1/ 8"s, "10.0.0.1/256"s, "10.0.0.1/4294967304"s, "fd00::1/129"s,
        "fd00:::1"s, "fe80::1%eth0"s, " 10.0.0.1"s, "/8"s}) {
    CAPTURE(text);
    CHECK_THROWS_WITH(parse_ip(text), "\"" + text + "\" is not an address");
  }
  CHECK_THROWS_WITH(parse_ip(std::string(5000, '1')),
                    "\"" + std::string(64, '1') + "\" is not an address");
  for (const std::string& text : {"10.0.0.1\0.evil"s, "fd00::1\0/64"s, "\0"s})
    CHECK_THROWS_AS(parse_ip(text), husk::Error);
  CHECK_THROWS_AS(canonical_prefix("x"), husk::Error);
  CHECK_THROWS_AS(canonical_ip("/"), husk::Error);
}

TEST_CASE("address: attributes of any length are read within their bytes", "[agent][network]") {
  CHECK(ip_text(AF_INET, nullptr).empty());
  CHECK(prefix_text(AF_INET, nullptr, 0) == "0.0.0.0/0");
  CHECK(prefix_text(AF_INET6, nullptr, 7) == "::/7");
  CHECK(ip_text(AF_INET, RawAttribute({10, 0, 0, 1}).get()) == "10.0.0.1");
  CHECK(ip_text(AF_INET, RawAttribute({10, 1}).get()) == "10.1.0.0");
  CHECK(ip_text(AF_INET6, RawAttribute(std::vector<std::uint8_t>(40, 1)).get()) ==
        "101:101:101:101:101:101:101:101");
  CHECK(ip_text(AF_INET6, RawAttribute({}).get()) == "::");
  CHECK(mac_text(nullptr).empty());
  CHECK(mac_text(RawAttribute({}).get()).empty());
  CHECK(mac_text(RawAttribute({2, 0x42, 0xAC, 0x11, 0, 255}).get()) == "02:42:ac:11:00:ff");
}

TEST_CASE("address: a MAC has one spelling, that of the kernel's bytes", "[agent][network]") {
  CHECK(parse_mac("02:42:ac:11:00:ff") == std::vector<std::uint8_t>{2, 0x42, 0xac, 0x11, 0, 0xff});
  for (const char* text : {"02:42:ac:11:00:0f", "02:42:AC:11:00:0F", "2:42:ac:11:0:f"}) {
    CAPTURE(text);
    CHECK(canonical_mac(text) == "02:42:ac:11:00:0f");
    CHECK(mac_text(RawAttribute(parse_mac(text)).get()) == canonical_mac(text));
  }
  CHECK(canonical_mac("").empty());  // loopback
  for (const std::string& text : {":"s, "02:"s, ":02"s, "02::03"s, "02-42-ac"s, "100:0"s, "-1:0"s,
                                  "0x2:0"s, "02:4g"s, "02:42 "s, "\xc3\x84:00"s}) {
    CAPTURE(text);
    CHECK_THROWS_WITH(canonical_mac(text), "\"" + text + "\" is not an address");
  }
  CHECK_THROWS_AS(canonical_mac("02:42\0"s), husk::Error);
  // The kernel's longest has 32 bytes (MAX_ADDR_LEN).
  std::string longest = "01";
  for (int i = 1; i < 32; ++i) longest += ":01";
  CHECK(parse_mac(longest).size() == 32);
  CHECK_THROWS_AS(parse_mac(longest + ":01"), husk::Error);
}
