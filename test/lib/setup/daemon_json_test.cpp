// SPDX-License-Identifier: Apache-2.0
#include "lib/setup/daemon_json.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"

using namespace husk::setup;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

const std::string with_tabs =
    "{\n\t\"storage-driver\": \"overlay2\",\n\t\"runtimes\": {\n\t\t\"b\": {\n\t\t\t\"path\": "
    "\"/b\"\n\t\t}\n\t},\n\t\"debug\": "
    "true\n}\n";

}  // namespace

TEST_CASE("setup: a runtime is added to what is there, in its order and with its indentation") {
  CHECK(add_runtime("", "/h") ==
        "{\n  \"runtimes\": {\n    \"husk\": {\n      \"path\": \"/h\"\n    }\n  }\n}\n");
  CHECK(add_runtime("{}\n", "/h") == add_runtime("", "/h"));
  CHECK(add_runtime("{\n    \"debug\": true\n}", "/h") ==
        "{\n    \"debug\": true,\n    \"runtimes\": {\n        \"husk\": {\n            \"path\": "
        "\"/h\"\n        }\n    }\n}\n");
  const std::string added = add_runtime(with_tabs, "/h").value();
  CHECK_THAT(added,
             ContainsSubstring("\n\t\t\"b\": {\n\t\t\t\"path\": \"/b\"\n\t\t},\n\t\t\"husk\": {"));
  CHECK(added.find("storage-driver") < added.find("runtimes"));
  CHECK(added.find("runtimes") < added.find("debug"));
}

TEST_CASE("setup: what was added is taken out again, and nothing else") {
  CHECK(remove_runtime(add_runtime(with_tabs, "/h").value()) == with_tabs);
  CHECK(remove_runtime(add_runtime("", "/h").value()) == "{}\n");
  CHECK(remove_runtime(with_tabs) == std::nullopt);
  CHECK(remove_runtime("") == std::nullopt);
}

TEST_CASE("setup: large integers, and equal keys of two objects, stay") {
  const std::string text =
      "{\n  \"a\": {\n    \"x\": 18446744073709551615\n  },\n  \"b\": {\n    \"x\": "
      "-9223372036854775808\n  }\n}\n";
  CHECK(remove_runtime(add_runtime(text, "/h").value()) == text);
}

TEST_CASE("setup: a file that has husk stays as it is") {
  const std::string text = add_runtime("", "/usr/bin/husk").value();
  CHECK(add_runtime(text, "/usr/bin/husk") == std::nullopt);
  CHECK_THROWS_MATCHES(add_runtime(text, "/usr/local/bin/husk"), husk::Error,
                       MessageMatches(ContainsSubstring("runtimes.husk: is there already") &&
                                      ContainsSubstring("husk setup --remove docker")));
  CHECK_THROWS_MATCHES(
      remove_runtime(R"({"default-runtime": "husk", "runtimes": {"husk": {"path": "/h"}}})"),
      husk::Error, MessageMatches(ContainsSubstring("default-runtime: is husk")));
}

TEST_CASE("setup: a file that is none of Docker's is refused") {
  for (const char* const text :
       {"{", "[]", "5", "null", "{\"runtimes\": []}", "{\"runtimes\": null}", "{} {}",
        "{\"runtimes\": {}, \"runtimes\": {}}", "{\"a\": 1e400}", "{\"a\": 1.5}",
        "{\"a\": 99999999999999999999999}"}) {
    INFO(text);
    CHECK_THROWS_AS(add_runtime(text, "/h"), husk::Error);
    CHECK_THROWS_AS(remove_runtime(text), husk::Error);
  }
  CHECK_THROWS_AS(add_runtime(R"({"runtimes": {"husk": 5}})", "/h"), husk::Error);
}
