// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/hooks.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <climits>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using husk::test::Scratch;

namespace {

oci::Hook script(const std::string& text, std::vector<std::string> env = {}) {
  return {.path = "/bin/sh", .args = {"sh", "-c", text}, .env = std::move(env), .timeout = {}};
}

std::string in(const Scratch& scratch, const std::string& name) {
  return (scratch.path() / name).string();
}

oci::State some_state() {
  return {.oci_version = "1.2.0",
          .id = "c1",
          .pid = 4711,
          .status = "creating",
          .bundle = "/b",
          .rootfs = "/b/rootfs",
          .created = "2024-01-02T03:04:05Z",
          .annotations = {{"key", "value"}},
          .owner = "root"};
}

}  // namespace

TEST_CASE("run_hooks: all run, in their order, with the state on stdin", "[runtime]") {
  const Scratch scratch;
  const std::string out = in(scratch, "out");
  const auto hook = [&](const std::string& name) {
    return script("echo " + name + " >> " + out + "; cat > " + out + "." + name);
  };
  run_hooks({hook("first"), hook("second"), hook("third")}, "prestart", some_state());
  CHECK(read_file(out, 1000) == "first\nsecond\nthird\n");
  for (const char* name : {".first", ".second", ".third"}) {
    const auto state = nlohmann::json::parse(read_file(out + name, 4096));
    CHECK(state == nlohmann::json(oci::to_ordered_json(some_state())));
    CHECK(state.at("pid") == 4711);
    CHECK(state.at("status") == "creating");
    CHECK(state.at("annotations").at("key") == "value");
  }
}

TEST_CASE("run_hooks: the first that fails is named with what it said, and is the last to run",
          "[runtime]") {
  const Scratch scratch;
  const auto touch = script("/bin/touch " + in(scratch, "ran"));
  CHECK_THROWS_WITH(
      run_hooks({script("true"), script("echo to stdout; echo to stderr >&2; exit 7"), touch},
                "createRuntime", some_state()),
      ContainsSubstring("createRuntime hook #1 /bin/sh: exit status 7: to stdout\nto stderr"));
  CHECK_FALSE(std::filesystem::exists(scratch.path() / "ran"));
}

TEST_CASE("run_hooks: of a failing hook's output the end is shown", "[runtime]") {
  try {
    run_hooks({script("i=0; while [ $i -lt 2000 ]; do echo line; i=$((i+1)); done; echo the end; "
                      "exit 1")},
              "prestart", some_state());
    FAIL("nothing was thrown");
  } catch (const Error& e) {
    CHECK_THAT(e.what(), ContainsSubstring("the end"));
    CHECK(std::string(e.what()).size() < 1000);
  }
}

TEST_CASE("run_hooks: one that takes too long is ended, and named with its time", "[runtime]") {
  const Scratch scratch;
  oci::Hook hook = script("/bin/sleep 60; /bin/touch " + in(scratch, "late"));
  hook.timeout = 1;
  const auto begin = std::chrono::steady_clock::now();
  CHECK_THROWS_WITH(run_hooks({hook}, "prestart", some_state()),
                    ContainsSubstring("prestart hook #0 /bin/sh: ") &&
                        ContainsSubstring("did not end within 1000 ms"));
  CHECK(std::chrono::steady_clock::now() - begin < 40s);
  CHECK_FALSE(std::filesystem::exists(scratch.path() / "late"));
}

TEST_CASE("run_hooks: a program that is missing is named", "[runtime]") {
  CHECK_THROWS_WITH(run_hooks({{.path = "/no/such/hook", .args = {}, .env = {}, .timeout = {}}},
                              "prestart", some_state()),
                    ContainsSubstring("prestart hook #0 /no/such/hook: start /no/such/hook: "));
}

TEST_CASE("run_hooks: a hook has its own environment and no other", "[runtime]") {
  const Scratch scratch;
  ::setenv("HUSK_TEST_OF_THE_CALLER", "1", 1);
  run_hooks({script("echo \"$OWN${HUSK_TEST_OF_THE_CALLER-none}\" > " + in(scratch, "env"),
                    {"OWN=mine,"})},
            "prestart", some_state());
  ::unsetenv("HUSK_TEST_OF_THE_CALLER");
  CHECK(read_file(scratch.path() / "env", 100) == "mine,none\n");
}

TEST_CASE(
    "run_hooks: a hook without env has the environment of husk, one with an empty env has none",
    "[runtime]") {
  const Scratch scratch;
  ::setenv("HUSK_TEST_OF_THE_CALLER", "1", 1);
  const std::string shown = "echo \"${HUSK_TEST_OF_THE_CALLER-none}\" > " + in(scratch, "env");
  oci::Hook hook = script(shown + ".inherited");
  hook.env.reset();
  run_hooks({hook, script(shown + ".empty")}, "prestart", some_state());
  ::unsetenv("HUSK_TEST_OF_THE_CALLER");
  CHECK(read_file(scratch.path() / "env.inherited", 100) == "1\n");
  CHECK(read_file(scratch.path() / "env.empty", 100) == "none\n");
}

TEST_CASE("longest_run: the sum of the limits, a day at most", "[runtime]") {
  oci::Hook hook{.path = "/h", .args = {}, .env = {}, .timeout = {}};
  CHECK(longest_run({}) == 0s);
  std::vector<oci::Hook> hooks(2, hook);
  hooks[0].timeout = 5;
  CHECK(longest_run(limit_hooks(hooks)) == 65s);
  hooks.assign(1000, hook);
  for (oci::Hook& endless : hooks) endless.timeout = INT_MAX;
  CHECK(longest_run(limit_hooks(hooks)) == 24h);
}

TEST_CASE("limit_hooks: those without a limit are given one", "[runtime]") {
  std::vector<oci::Hook> hooks(2, {.path = "/h", .args = {}, .env = {}, .timeout = {}});
  hooks[0].timeout = 5;
  const auto limited = limit_hooks(hooks);
  CHECK(limited[0].timeout == 5);
  CHECK(limited[1].timeout == 60);
}

TEST_CASE("run_hooks_tolerantly: the others run although one fails", "[runtime]") {
  const Scratch scratch;
  CHECK_NOTHROW(run_hooks_tolerantly({script("exit 1"), script("/bin/touch " + in(scratch, "ran"))},
                                     "poststop", some_state()));
  CHECK(std::filesystem::exists(scratch.path() / "ran"));
}
