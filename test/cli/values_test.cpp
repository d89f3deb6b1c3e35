// SPDX-License-Identifier: Apache-2.0
#include "cli/values.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace std::chrono_literals;
using cli::parse_interval;
using cli::parse_size;

TEST_CASE("parse_size: bytes, and powers of 1024 in every spelling", "[cli]") {
  constexpr std::int64_t mib = std::int64_t{1} << 20;
  const std::pair<const char*, std::int64_t> cases[] = {{"0", 0},
                                                        {"67108864", 64 * mib},
                                                        {"67108864b", 64 * mib},
                                                        {"64m", 64 * mib},
                                                        {"64M", 64 * mib},
                                                        {"64mb", 64 * mib},
                                                        {"64MiB", 64 * mib},
                                                        {"64mIb", 64 * mib},
                                                        {"0g", 0},
                                                        {"1k", 1024},
                                                        {"1g", 1024 * mib},
                                                        {"1t", mib * mib},
                                                        {"1p", 1024 * mib * mib},
                                                        {"-1", -1},
                                                        {"9223372036854775807", INT64_MAX},
                                                        {"8191p", 8191 * 1024 * mib * mib}};
  for (const auto& [text, bytes] : cases) {
    CAPTURE(text);
    CHECK(parse_size("--memory", text) == bytes);
  }
}

TEST_CASE("parse_size: anything else is refused by the option's name", "[cli]") {
  for (const char* text : {"",      " ",
                           "x",     "m",
                           "b",     "-",
                           "-2",    "-1m",
                           "-1b",   "+1",
                           " 1",    "1 ",
                           "1.5g",  "1e3",
                           "0x10",  "1bb",
                           "1kk",   "1kib2",
                           "1ib",   "1kbi",
                           "1mibb", "1kg",
                           "1e",    "9223372036854775808",
                           "8192p", "9007199254740992k",
                           "1m\n",  "64\xc2\xb5"}) {
    CAPTURE(text);
    try {
      parse_size("--memory-swap", text);
      FAIL("was taken");
    } catch (const Error& e) {
      const std::string what = e.what();
      CHECK(what.starts_with("--memory-swap: \""));
      CHECK(what.ends_with("\" is not a valid size"));
      CHECK(e.code() == Errc::invalid_argument);
    }
  }
}

TEST_CASE("parse_interval: Go's durations", "[cli]") {
  const std::pair<const char*, std::chrono::milliseconds> cases[] = {{"5s", 5s},
                                                                     {"+5s", 5s},
                                                                     {"200ms", 200ms},
                                                                     {"1.5s", 1500ms},
                                                                     {".5s", 500ms},
                                                                     {"5.s", 5s},
                                                                     {"1m30s", 90s},
                                                                     {"30s1m", 90s},
                                                                     {"1h1m1s1ms", 3'661'001ms},
                                                                     {"2.3s", 2300ms},
                                                                     {"24h", 24h},
                                                                     {"86400s", 24h},
                                                                     {"2000000ms", 2'000'000ms},
                                                                     {"1500us", 2ms},
                                                                     {"1ns", 1ms},
                                                                     {"3000\xc2\xb5s", 3ms},
                                                                     {"3000\xce\xbcs", 3ms},
                                                                     {"0h1s", 1s}};
  for (const auto& [text, wanted] : cases) {
    CAPTURE(text);
    CHECK(parse_interval("--interval", text) == wanted);
  }
}

TEST_CASE("parse_interval: none and less than none are refused with runc's words", "[cli]") {
  for (const char* text : {"0", "0s", "-0", "0h0m", "-5s", "-1ms", "-30h"}) {
    CAPTURE(text);
    CHECK_THROWS_WITH(parse_interval("--interval", text),
                      "duration interval must be greater than 0");
  }
}

TEST_CASE("parse_interval: anything else is refused by the option's name", "[cli]") {
  for (const char* text :
       {"",     "s",    "5",    "-",    "+",  "5 s",  " 5s",   "5s ", "5d",     "5S",
        "infs", "nans", "1e3s", "0x5s", ".s", "--5s", "1s-1s", "5s3", "5\xc2s", "1h\n"}) {
    CAPTURE(text);
    try {
      parse_interval("--interval", text);
      FAIL("was taken");
    } catch (const Error& e) {
      const std::string what = e.what();
      CHECK(what.starts_with("--interval: \""));
      CHECK(what.ends_with("\" is not a valid duration, such as 5s or 200ms"));
    }
  }
  for (const char* text : {"24h1ms", "86401s", "99999999999999999999h"}) {
    CAPTURE(text);
    CHECK_THROWS_WITH(parse_interval("--interval", text),
                      "--interval: \"" + std::string(text) + "\" is longer than a day");
  }
}
