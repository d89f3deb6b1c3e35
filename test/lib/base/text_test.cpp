// SPDX-License-Identifier: Apache-2.0
#include "lib/base/text.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace husk;

TEST_CASE("quote: is printable, unambiguous and short, whatever it quotes", "[base]") {
  CHECK(quote("plain") == "\"plain\"");
  CHECK(quote("") == "\"\"");
  CHECK(quote("a\"b\\\n\x1b[31m\xff") == "\"a\\\"b\\\\\\x0a\\x1b[31m\\xff\"");
  CHECK(quote(std::string(64, 'x')) == "\"" + std::string(64, 'x') + "\"");
  CHECK(quote(std::string(65, 'x')) == "\"" + std::string(64, 'x') + "\"...");
}

TEST_CASE("one_line: control characters become blanks, all else stays", "[base]") {
  CHECK(one_line("a\nb\r\x1b[2J\x7f\tc") == "a b  [2J  c");
  CHECK(one_line(std::string("\0x", 2)) == " x");
  CHECK(one_line("gr\xc3\xbc\xc3\x9f \"quoted\"") == "gr\xc3\xbc\xc3\x9f \"quoted\"");
  CHECK(one_line("").empty());
  CHECK(one_line("a\xc2\x9b[2J\xc2\xa0\xc2", '?') == "a?[2J\xc2\xa0?");
  // Not UTF-8: what follows is no part of it.
  CHECK(one_line("a\xc2"
                 "bc\xc2\n") ==
        "a\xc2"
        "bc\xc2 ");
}

TEST_CASE("has_controls: those of ASCII and of UTF-8", "[base]") {
  CHECK(has_controls("a\n"));
  CHECK(has_controls("a\xc2\x85"));
  CHECK_FALSE(has_controls("a b \xc2\xa0"));
}

TEST_CASE("one_plain_line: lines of a log as one, without what steers a terminal") {
  CHECK(one_plain_line("one\n\x1b[1mtwo\xc3\xbc\r\n\n") == "one | [1mtwo");
  CHECK(one_plain_line("\n\n").empty());
}
