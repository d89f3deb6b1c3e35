// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/network.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>
#include <set>

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

TEST_CASE("Network: every field of every part is named when it is missing", "[guestcomm]") {
  json whole = example();
  const std::set<std::string> optional{"preference",  "goto_priority",         "suppress_group",
                                       "ip_protocol", "source_ports",          "destination_ports",
                                       "users",       "suppress_prefix_length"};
  const char* const part = GENERATE("", "/links/0", "/links/0/addresses/0", "/links/0/neighbours/0",
                                    "/routes/0", "/routes/0/hops/0", "/rules/0", "/rules/1");
  const json::json_pointer place(part);
  REQUIRE(whole.at(place).size() > 3);
  for (const auto& [key, value] : whole.at(place).items()) {
    CAPTURE(part, key);
    json message = whole;
    message[place].erase(key);
    if (optional.contains(key))
      CHECK_NOTHROW(message.get<Network>());
    else
      CHECK(error_of(message) == "malformed message: " + key + " is missing");
    message[place][key] = json::object();
    CHECK_THAT(error_of(message), ContainsSubstring("malformed message: " + key + " is not "));
    message[place][key] = -1;
    CHECK_THAT(error_of(message), ContainsSubstring("malformed message: " + key + " is not "));
  }
}

TEST_CASE("Network: numbers are as wide as the kernel's, and no wider", "[guestcomm]") {
  const auto [place, greatest] = GENERATE(
      table<std::string, std::uint64_t>({{"/links/0/mtu", UINT32_MAX},
                                         {"/links/0/addresses/0/scope", UINT8_MAX},
                                         {"/links/0/addresses/0/valid_lifetime", UINT32_MAX},
                                         {"/links/0/neighbours/0/state", UINT16_MAX},
                                         {"/routes/0/table", UINT32_MAX},
                                         {"/routes/0/preference", UINT8_MAX},
                                         {"/routes/0/hops/0/weight", UINT8_MAX},
                                         {"/routes/0/metrics/0/1", UINT32_MAX},
                                         {"/rules/0/mark", UINT32_MAX},
                                         {"/rules/0/source_ports/1", UINT16_MAX},
                                         {"/rules/0/users/0", UINT32_MAX}}));
  CAPTURE(place);
  json message = example();
  message[json::json_pointer(place)] = greatest;
  CHECK(json(message.get<Network>()) == message);
  for (const json& wrong : {json(greatest + 1), json(UINT64_MAX)}) {
    message[json::json_pointer(place)] = wrong;
    CHECK_THAT(error_of(message), ContainsSubstring(" is out of range"));
  }
}

TEST_CASE("Network: lists and texts are as long as their limits, and no longer", "[guestcomm]") {
  json message = example();
  message["links"][0]["name"] = std::string(4096, 'x');
  CHECK_NOTHROW(message.get<Network>());
  message["links"][0]["name"] = std::string(4097, 'x');
  CHECK(error_of(message) == "malformed message: name is too long");
  message = example();
  json many = json::array();
  for (std::uint32_t n = 0; n < (64U << 10); ++n) many.push_back(json::array({n, n}));
  message["routes"][0]["metrics"] = many;
  CHECK(message.get<Network>().routes.at(0).metrics.size() == many.size());
  many.push_back(json::array({1, 1}));
  message["routes"][0]["metrics"] = many;
  CHECK(error_of(message) == "malformed message: metrics has too many entries");
  message = example();
  message["rules"] = json::array();
  message["rules"].get_ref<json::array_t&>().resize((64U << 10) + 1);
  CHECK(error_of(message) == "malformed message: rules has too many entries");
}
