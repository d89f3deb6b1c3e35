// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/network_card.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <set>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::hypervisor;
using Catch::Matchers::Message;

TEST_CASE("network card: named by VM and number, the same each time", "[hypervisor]") {
  CHECK(network_card("0a1b2c3d", 0).mac == "06:0a:1b:2c:3d:00");
  CHECK(network_card("0a1b2c3d", 0).tap == "husk0a1b2c3d-0");
  CHECK(network_card("0a1b2c3d", 99).mac == "06:0a:1b:2c:3d:63");
  CHECK(network_card("0a1b2c3d", 99).tap == "husk0a1b2c3d-99");
  CHECK(is_tap_of("0a1b2c3d", network_card("0a1b2c3d", 99).tap));
  CHECK_FALSE(is_tap_of("0a1b2c3d", network_card("0a1b2c3e", 0).tap));
}

TEST_CASE("network card: no two are alike, and each passes the check", "[hypervisor]") {
  std::set<std::string> names;
  for (const char* id : {"00000000", "00000001", "ffffffff", "0a1b2c3d"}) {
    for (unsigned number = 0; number < 100; ++number) {
      const NetworkCard card = network_card(id, number);
      CHECK_NOTHROW(check_network_card(card));
      names.insert({card.mac, card.tap});
    }
  }
  CHECK(names.size() == 800);
}

TEST_CASE("network card: an id that is none and a number too large are refused", "[hypervisor]") {
  CHECK_THROWS_MATCHES(network_card("0a1b2c3", 0), Error,
                       Message("VM id \"0a1b2c3\": is not 8 hexadecimal digits"));
  CHECK_THROWS_AS(network_card("0a1b2c3x", 0), Error);
  CHECK_THROWS_MATCHES(network_card("0a1b2c3d", 100), Error,
                       Message("network card 100 of VM 0a1b2c3d: a VM can have at most 100"));
}

TEST_CASE("network card: a MAC that is none, or is a group's, is refused", "[hypervisor]") {
  const std::string mac = GENERATE(as<std::string>{}, "", "06:0a:1b:2c:3d", "06:0a:1b:2c:3d:0",
                                   "06:0a:1b:2c:3d:000", "06-0a-1b-2c-3d-00", "06:0a:1b:2c:3d:0g",
                                   "06:0A:1B:2C:3D:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff");
  CHECK_THROWS_MATCHES(check_network_card({.mac = mac, .tap = "husk0"}), Error,
                       Message("network card: mac \"" + mac + "\" is not a unicast MAC address"));
}

TEST_CASE("network card: a tap's name that the kernel would cut or fill in is refused",
          "[hypervisor]") {
  const std::string tap = GENERATE(as<std::string>{}, "", "sixteen-letters-", "vnet%d", "a/b",
                                   "a b", "a.b", "\xc3\xa9");
  CHECK_THROWS_AS(check_network_card({.mac = "06:0a:1b:2c:3d:00", .tap = tap}), Error);
  CHECK_NOTHROW(check_network_card({.mac = "06:0a:1b:2c:3d:00", .tap = "fifteen-letters"}));
}
