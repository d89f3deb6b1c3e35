// SPDX-License-Identifier: Apache-2.0
#include "lib/base/parse_number.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdint>

using husk::parse_number;

TEST_CASE("parse_number: the whole text is the number", "[base]") {
  CHECK(parse_number<int>("0") == 0);
  CHECK(parse_number<int>("-5") == -5);
  CHECK(parse_number<int>("007") == 7);
  CHECK(parse_number<std::uint32_t>("4294967295") == UINT32_MAX);
  CHECK(parse_number<std::uint64_t>("18446744073709551615") == UINT64_MAX);
  CHECK(parse_number<std::int64_t>("-9223372036854775808") == INT64_MIN);
  CHECK(parse_number<double>("1.5") == 1.5);
}

TEST_CASE("parse_number: anything else is none", "[base]") {
  for (const char* wrong : {"", " ", "x", "1x", "x1", " 1", "1 ", "+1", "--1", "-", "0x1", "1.5",
                            "2147483648", "-2147483649", "1\n"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_number<int>(wrong));
  }
  CHECK_FALSE(parse_number<unsigned>("-1"));
  CHECK_FALSE(parse_number<std::uint32_t>("4294967296"));
  CHECK_FALSE(parse_number<int>({"1\0", 2}));
  CHECK_FALSE(parse_number<int>({}));
}
