// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/xml_text.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::hypervisor;
using Catch::Matchers::Message;

TEST_CASE("xml text: what means something to a parser is escaped, in any order", "[hypervisor]") {
  const auto [text, escaped] =
      GENERATE(table<std::string, std::string>({{"", ""},
                                                {"plain text, 0-9_./:", "plain text, 0-9_./:"},
                                                {"<>&\"'", "&lt;&gt;&amp;&quot;&apos;"},
                                                {"&amp;", "&amp;amp;"},
                                                {"]]>", "]]&gt;"},
                                                {"a<b\xc3\xa9>c", "a&lt;b\xc3\xa9&gt;c"}}));
  CHECK(xml_escape(text) == escaped);
}

TEST_CASE("xml text: the first and last character of each length of UTF-8 stay", "[hypervisor]") {
  const std::string text =
      GENERATE(as<std::string>{}, " ", "~", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
               "\xee\x80\x80", "\xef\xbf\xbd", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf");
  CHECK(xml_escape(text) == text);
  CHECK(xml_escape("<" + text + ">") == "&lt;" + text + "&gt;");
}

TEST_CASE("xml text: what no document can hold is refused, wherever it stands", "[hypervisor]") {
  const std::string bad =
      GENERATE(as<std::string>{}, std::string(1, '\0'), "\t", "\n", "\r", "\x1b", "\x1f", "\x7f",
               "\x80", "\xbf",                                          // continuations of nothing
               "\xc0\xbc", "\xc1\xbf",                                  // "<" and DEL in two bytes
               "\xe0\x80\xbc", "\xe0\x9f\xbf",                          // overlong in three
               "\xf0\x80\x80\xbc", "\xf0\x8f\xbf\xbf",                  // and in four
               "\xed\xa0\x80", "\xed\xbf\xbf",                          // surrogates
               "\xef\xbf\xbe", "\xef\xbf\xbf",                          // U+FFFE, U+FFFF
               "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff",  // above U+10FFFF
               "\xc3", "\xe2\x82", "\xf0\x9f\x98",                      // cut
               "\xc3<", "\xe2\x82<", "\xf0\x9f\x98<");                  // cut by markup
  const std::string before = GENERATE(as<std::string>{}, "", "a", "\xc3\xa9");
  CHECK_THROWS_MATCHES(xml_escape(before + bad), Error,
                       Message("control character or broken UTF-8 in the VM's configuration"));
  CHECK_THROWS_AS(xml_escape(before + bad + "a"), Error);
}
