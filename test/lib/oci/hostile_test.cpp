// SPDX-License-Identifier: Apache-2.0
// Documents that were made to hurt: whatever the bytes, the answer is a value or one clear Error.
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <random>

#include "lib/oci/bundle.hpp"
#include "lib/oci/check.hpp"
#include "test/lib/oci/fixtures.hpp"

namespace husk::oci::test {
namespace {

std::string repeat(const std::string& text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

std::string parse_failure(const std::string& text) {
  const Failure failure = failure_of([&] { (void)parse_json(text, "doc"); });
  CHECK(failure.code == Errc::invalid_argument);
  CHECK(failure.text.size() < 300);
  for (const char c : failure.text) CHECK((c >= ' ' && c < '\x7f'));
  return failure.text;
}

// Whether the bytes made it through everything; an exception that is no Error fails the test.
bool is_accepted(const std::string& text) {
  try {
    const auto spec = parse_json(text, "doc").get<Spec>();
    check_spec(spec);
    return nlohmann::json(spec).get<Spec>() == spec;
  } catch (const Error& e) {
    CHECK(std::string(e.what()).size() < 1000);
    return false;
  }
}

}  // namespace

TEST_CASE("hostile: nesting is refused at the level above the limit, however deep", "[oci]") {
  const auto depth = static_cast<std::size_t>(max_json_depth);
  CHECK_NOTHROW(parse_json(repeat("[", depth) + repeat("]", depth), "doc"));
  CHECK(parse_failure(repeat("[", depth + 1) + repeat("]", depth + 1)) ==
        "doc: nested deeper than 64 levels");
  CHECK(parse_failure(repeat("[", max_config_bytes)) == "doc: nested deeper than 64 levels");
  CHECK(parse_failure(repeat("{\"a\":", 1000000)) == "doc: nested deeper than 64 levels");
  CHECK(parse_failure(repeat("[{\"a\":", 1000000)) == "doc: nested deeper than 64 levels");
  // Wide is not deep.
  CHECK_NOTHROW(parse_json("[" + repeat("[],", 100000) + "{}]", "doc"));
}

TEST_CASE("hostile: a field given twice is refused, in any object, escaped or not", "[oci]") {
  CHECK(parse_failure(R"({"a": 1, "a": 2})") == "doc: field \"a\" is given twice");
  CHECK(parse_failure(R"({"x": [{"b": 1, "\u0062": 2}]})") == "doc: field \"b\" is given twice");
  CHECK_NOTHROW(parse_json(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]})", "doc"));
}

TEST_CASE("hostile: malformed JSON is refused with the place, not the text", "[oci]") {
  CHECK(parse_failure("{\"a\": secret}") ==
        "doc: malformed JSON at byte 7: syntax error while parsing value - invalid literal");
  for (const char* text : {"",
                           " ",
                           "nul",
                           "{",
                           "}",
                           "[1,]",
                           "{\"a\":1,}",
                           "{a:1}",
                           "'a'",
                           "01",
                           "+1",
                           "NaN",
                           "1 2",
                           "{} {}",
                           "{}x",
                           "// c\n{}",
                           "\"\x01\"",
                           "\"\xff\"",
                           "\"\xc0\x80\"",
                           "\"\xed\xa0\x80\"",
                           "\"\\ud800\"",
                           "\"\\u12\"",
                           "\"\\x\"",
                           "1e999"}) {
    INFO(text);
    CHECK(parse_failure(text).starts_with("doc: malformed JSON"));
  }
  CHECK(parse_failure(std::string("{}\0", 3)) == "doc: malformed JSON at byte 3: NUL byte");
}

TEST_CASE("hostile: a config.json cut at any byte is refused", "[oci]") {
  nlohmann::json document = parse_json(engine_config("docker.json"), "docker.json");
  // A list of 300 plain words costs most of the time and adds no place worth a cut.
  auto& names = document["linux"]["seccomp"]["syscalls"][0]["names"];
  names.erase(names.begin() + 5, names.end());
  const std::string text = document.dump();
  const std::size_t end = text.rfind('}');
  REQUIRE(is_accepted(text));
  REQUIRE(is_accepted(text.substr(0, end + 1)));
  for (std::size_t length = 0; length <= end; ++length) {
    INFO("cut at byte " << length);
    CHECK(failure_of([&] {
            (void)parse_json(text.substr(0, length), "doc");
          }).text.starts_with("doc: malformed JSON at byte "));
  }
}

TEST_CASE("hostile: mutated documents give a value or an Error, never anything else", "[oci]") {
  static const std::vector<std::string> splices = {"\"",      "{",     "}",
                                                   "[",       "]",     ",",
                                                   ":",       "null",  "true",
                                                   "-1",      "1e400", "18446744073709551616",
                                                   "\\u0000", "\xff",  "\"ociVersion\"",
                                                   "0",       "\n",    "{\"a\":[",
                                                   "\\",      "..",    "/"};
  std::mt19937 random(20261123);
  const auto pick = [&](std::size_t below) { return random() % below; };
  const std::string originals[] = {engine_config("docker.json"), engine_config("podman.json"),
                                   nlohmann::json(full_spec()).dump()};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  std::size_t rounds = 0, accepted = 0;
  while (rounds < 3000 && std::chrono::steady_clock::now() < deadline) {
    std::string text = originals[rounds++ % 3];
    for (std::size_t edits = 1 + pick(4); edits > 0; --edits) {
      const std::size_t at = pick(text.size());
      switch (pick(4)) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, 1 + pick(40));
          break;
        case 2:
          text.insert(at, splices[pick(splices.size())]);
          break;
        default:
          text.insert(at, text.substr(pick(text.size()), pick(200)));
      }
    }
    if (is_accepted(text)) ++accepted;
  }
  INFO(rounds << " rounds, " << accepted << " accepted");
  CHECK(rounds >= 100);
  CHECK(accepted > 0);  // else the mutations never reach what lies behind the parser
  CHECK(accepted < rounds);
}

}  // namespace husk::oci::test
