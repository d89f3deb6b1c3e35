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
}
