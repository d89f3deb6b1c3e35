// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/network.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::guestcomm;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

Network example() {
  Network network;
  network.links = {{.name = "eth0",
                    .device = "02:00:00:00:00:01",
                    .mac = "02:42:ac:11:00:02",
                    .mtu = 9000,
                    .queue_length = 1000,
                    .flags = 1,
                    .addresses = {{.address = "172.17.0.2/16",
                                   .peer = "",
                                   .broadcast = "172.17.255.255",
                                   .label = "eth0:1",
                                   .scope = 254,
                                   .flags = 0x200,
                                   .valid_lifetime = 60,
                                   .preferred_lifetime = 30}},
                    .neighbours = {{"172.17.0.1", "02:42:00:00:00:01", 0x80, 8}}}};
  Route route;
  route.destination = "::/0";
  route.table = 70000;
  route.preference = 0;
  route.hops = {{"eth0", "fe80::1", 3, 4}, {"eth1", "", 0, 0}};
  route.metrics = {{2, 1400}, {8, 10}};
  network.routes = {route};
  Rule rule;
  rule.is_ipv6 = true;
  rule.goto_priority = 0;
  rule.source_ports = {1, 65535};
  rule.users = {0, UINT32_MAX};
  network.rules = {rule, Rule{}};
  network.sysctls = {{"ipv6/conf/eth0/disable_ipv6", "1"}};
  network.has_dns = true;
  return network;
}

std::string error_of(const json& message) {
  try {
    message.get<Network>();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("Network: what is encoded is decoded again", "[guestcomm]") {
  const Network network = example();
  CHECK(json::parse(json(network).dump()).get<Network>() == network);
  CHECK(json(Network{}).get<Network>() == Network{});
}

TEST_CASE("Network: what is malformed is refused by its name", "[guestcomm]") {
  json message = example();
  CHECK_THAT(error_of(json::array()), ContainsSubstring("malformed message: network"));
  SECTION("a field that is missing") {
    message["links"][0].erase("mtu");
    CHECK_THAT(error_of(message), ContainsSubstring("mtu is missing"));
  }
  SECTION("a number that is too great, or none") {
    message["links"][0]["mtu"] = 1ull << 32;
    CHECK_THAT(error_of(message), ContainsSubstring("mtu is out of range"));
    message["links"][0]["mtu"] = -1;
    CHECK_THAT(error_of(message), ContainsSubstring("mtu is not an unsigned number"));
  }
  SECTION("a text with a zero, or too long") {
    message["links"][0]["name"] = std::string("eth0\0x", 6);
    CHECK_THAT(error_of(message), ContainsSubstring("name has a NUL byte"));
    message["links"][0]["name"] = std::string(5000, 'x');
    CHECK_THAT(error_of(message), ContainsSubstring("name is too long"));
  }
  SECTION("other kinds") {
    message["routes"][0]["metrics"] = json::array({7});
    CHECK_THAT(error_of(message), ContainsSubstring("metrics"));
    message = example();
    message["rules"][0]["users"] = json::array({1, 2, 3});
    CHECK_THAT(error_of(message), ContainsSubstring("users is not a pair"));
    message["rules"] = "none";
    CHECK_THAT(error_of(message), ContainsSubstring("rules is not a list"));
  }
}
