// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/unit_property.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::systemd;
using Catch::Matchers::ContainsSubstring;
using Value = UnitProperty::Value;

TEST_CASE("parse_property_value: the types that units have", "[systemd]") {
  CHECK(parse_property_value("true") == Value{true});
  CHECK(parse_property_value("false") == Value{false});
  CHECK(parse_property_value("-5") == Value{std::int32_t{-5}});
  CHECK(parse_property_value("uint32 9") == Value{std::uint32_t{9}});
  CHECK(parse_property_value("int64 -9") == Value{std::int64_t{-9}});
  CHECK(parse_property_value("uint64 18446744073709551615") == Value{UINT64_MAX});
  CHECK(parse_property_value("1.5") == Value{1.5});
  CHECK(parse_property_value("'it\\'s'") == Value{std::string("it's")});
  CHECK(parse_property_value("\"two words\"") == Value{std::string("two words")});
  CHECK(parse_property_value("['a', \"b\"]") == Value{std::vector<std::string>{"a", "b"}});
  CHECK(parse_property_value("[]") == Value{std::vector<std::string>{}});
}

TEST_CASE("parse_property_value: anything else is refused", "[systemd]") {
  for (const char* wrong : {"", "word", "'open", "'a' 'b'", "['a'", "[1]", "uint64 -1", "uint8 1",
                            "4294967296", "uint32 4294967296"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_property_value(wrong), Error);
  }
  CHECK_THROWS_AS(parse_property_value("'" + std::string(5000, 'x') + "'"), Error);
}

TEST_CASE("unit_properties: only systemd's annotations count, seconds become microseconds",
          "[systemd]") {
  const auto properties = unit_properties({{"org.systemd.property.TimeoutStopUSec", "uint64 7"},
                                           {"org.systemd.property.RuntimeMaxSec", "1.5"},
                                           {"org.opencontainers.image.stopSignal", "SIGTERM"}});
  CHECK(properties == std::vector<UnitProperty>{{"RuntimeMaxUSec", std::uint64_t{1500000}},
                                                {"TimeoutStopUSec", std::uint64_t{7}}});
}

TEST_CASE("unit_properties: a wrong one is named", "[systemd]") {
  CHECK_THROWS_WITH(unit_properties({{"org.systemd.property.KillSignal", "nine"}}),
                    ContainsSubstring("org.systemd.property.KillSignal"));
  CHECK_THROWS_AS(unit_properties({{"org.systemd.property.a b c", "true"}}), Error);
  CHECK_THROWS_AS(unit_properties({{"org.systemd.property.WatchdogSec", "-1"}}), Error);
  CHECK_THROWS_AS(unit_properties({{"org.systemd.property.WatchdogSec", "'x'"}}), Error);
}
