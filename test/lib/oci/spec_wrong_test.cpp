// SPDX-License-Identifier: Apache-2.0
// Values of the wrong type, out of range, missing: at every place of the document.
#include <catch2/catch_test_macros.hpp>

#include "lib/oci/bundle.hpp"
#include "lib/oci/json_read.hpp"
#include "test/lib/oci/fixtures.hpp"

namespace husk::oci::test {

using nlohmann::json;

namespace {

std::string refusal_of(const json& document) {
  const Failure failure = failure_of([&] { (void)document.get<Spec>(); });
  CHECK(failure.code == Errc::invalid_argument);
  return failure.text;
}

json with(const std::string& pointer, const json& value) {
  json document = full_spec();
  document[json::json_pointer(pointer)] = value;
  return document;
}

// "/process/rlimits/0/soft" is "process.rlimits[0].soft" in a text, map keys are ["key"].
std::string last_word(const std::string& pointer) { return pointer.substr(pointer.rfind('/') + 1); }

void collect(const json& value, const std::string& pointer, std::vector<std::string>& out) {
  if (value.is_object())
    for (const auto& [key, inner] : value.items()) {
      std::string escaped;
      for (const char c : key) escaped += c == '/' ? "~1" : std::string(1, c);
      collect(inner, pointer + "/" + escaped, out);
    }
  if (value.is_array())
    for (std::size_t i = 0; i < value.size(); ++i)
      collect(value[i], pointer + "/" + std::to_string(i), out);
  if (!pointer.empty()) out.push_back(pointer);
}

}  // namespace

TEST_CASE("spec: every single value is refused when it has another type", "[oci]") {
  const json document = full_spec();
  std::vector<std::string> pointers;
  collect(document, "", pointers);
  REQUIRE(pointers.size() > 200);
  for (const auto& pointer : pointers) {
    // Only their presence is looked at: the value is not modelled.
    if (pointer.find("/rdma/") != std::string::npos ||
        pointer.find("/network/") != std::string::npos || pointer == "/linux/intelRdt")
      continue;
    const json& old = document[json::json_pointer(pointer)];
    for (const json& wrong :
         {json("text"), json(7), json(1.5), json(true), json::array({1}), json{{"k", 1}}}) {
      const bool same = wrong.type() == old.type() ||
                        (wrong.is_number() && !wrong.is_number_float() && old.is_number());
      if (same) continue;
      INFO(pointer << " = " << wrong.dump());
      const std::string text = refusal_of(with(pointer, wrong));
      const std::string field = last_word(pointer);
      if (field.find_first_of("0123456789~") == std::string::npos)
        CHECK(text.find(field) != std::string::npos);
      CHECK(text.find(": expected ") != std::string::npos);
    }
  }
}

TEST_CASE("spec: texts name the field by its whole path and show a scalar", "[oci]") {
  CHECK(refusal_of(with("/process/user/uid", "root")) ==
        "process.user.uid: expected an unsigned number, found a string \"root\"");
  CHECK(refusal_of(with("/process/args", "sh")) ==
        "process.args: expected an array, found a string \"sh\"");
  CHECK(refusal_of(with("/mounts/0/options/1", false)) ==
        "mounts[0].options[1]: expected a string, found a boolean false");
  CHECK(refusal_of(with("/linux/seccomp/syscalls/0/args/0/index", json::object())) ==
        "linux.seccomp.syscalls[0].args[0].index: expected an unsigned number, found an object");
  CHECK(refusal_of(with("/annotations/key", 1)) ==
        "annotations[\"key\"]: expected a string, found a number 1");
  CHECK(refusal_of(json::array()) == "the document: expected an object, found an array");
  CHECK(refusal_of(json(nullptr)) == "the document: expected an object, found null");
  CHECK(refusal_of(with("/process/args/0", nullptr)) ==
        "process.args[0]: expected a string, found null");
}

TEST_CASE("spec: numbers are whole and fit, up to the boundary", "[oci]") {
  CHECK(refusal_of(with("/process/user/uid", 4294967296)) ==
        "process.user.uid: 4294967296 is not in 0 to 4294967295");
  CHECK(refusal_of(with("/process/user/uid", -1)) ==
        "process.user.uid: -1 is not in 0 to 4294967295");
  CHECK(refusal_of(with("/process/oomScoreAdj", 2147483648)) ==
        "process.oomScoreAdj: 2147483648 is not in -2147483648 to 2147483647");
  CHECK(refusal_of(with("/process/consoleSize/width", 65536)) ==
        "process.consoleSize.width: 65536 is not in 0 to 65535");
  CHECK(refusal_of(with("/linux/resources/memory/limit", 9223372036854775808u)) ==
        "linux.resources.memory.limit: 9223372036854775808 is not in -9223372036854775808 to "
        "9223372036854775807");
  CHECK(with("/process/user/uid", 4294967295).get<Spec>().process->user.uid == 4294967295);
  CHECK(with("/process/oomScoreAdj", -2147483648ll).get<Spec>().process->oom_score_adj ==
        -2147483648ll);

  for (const char* number : {"1e3", "1.0", "1.5", "18446744073709551616", "-9223372036854775809"}) {
    INFO(number);
    const std::string text = std::string(R"({"ociVersion":"1.0.0","linux":{"resources":)") +
                             R"({"pids":{"limit":)" + number + "}}}}";
    CHECK(refusal_of(parse_json(text, "x"))
              .starts_with("linux.resources.pids.limit: expected a whole number, found a number"));
  }
}

TEST_CASE("spec: required fields that are missing, or null, are named", "[oci]") {
  for (const char* pointer :
       {"/ociVersion", "/root/path", "/process/cwd", "/mounts/0/destination",
        "/process/rlimits/0/hard", "/process/rlimits/0/soft", "/process/rlimits/0/type",
        "/hooks/prestart/0/path", "/linux/namespaces/0/type", "/linux/devices/0/path",
        "/linux/uidMappings/0/size", "/linux/seccomp/defaultAction",
        "/linux/seccomp/syscalls/0/names", "/linux/resources/hugepageLimits/0/limit"}) {
    INFO(pointer);
    const json::json_pointer where(pointer);
    json missing = full_spec();
    missing[where.parent_pointer()].erase(where.back());
    const std::string text = refusal_of(missing);
    CHECK(text.ends_with(where.back() + ": required but missing"));
    CHECK(refusal_of(with(pointer, nullptr)) == text);
  }
}

TEST_CASE("spec: strings with a NUL byte are refused, keys of maps as well", "[oci]") {
  using namespace std::string_literals;
  CHECK(refusal_of(with("/root/path", "/a\0b"s)) == "root.path: \"/a\\x00b\" has a NUL byte in it");
  json document = full_spec();
  document["linux"]["sysctl"]["net.a\0b"s] = "1";
  CHECK(refusal_of(document) == "linux.sysctl: \"net.a\\x00b\" has a NUL byte in it");
}

}  // namespace husk::oci::test
