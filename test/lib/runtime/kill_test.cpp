// SPDX-License-Identifier: Apache-2.0

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/error.hpp"
#include "test/lib/runtime/husk_bench.hpp"

using namespace husk;
using namespace husk::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {
using Lines = std::vector<std::string>;
}

TEST_CASE("kill: whatever the agent does with SIGKILL, the container ends in bounded time",
          "[runtime][root]") {
  HuskBench bench;
  const auto [fault, all] = GENERATE(
      std::pair{Fault::ignores_kill, false}, std::pair{Fault::ignores_kill, true},
      std::pair{Fault::refuses_signals, false}, std::pair{Fault::stuck_after_start, false});
  bench.machine.fault = fault;
  bench.create();
  try {
    bench.runtime().start("c1");
  } catch (const Error&) {
    CHECK(bench.machine.fault == Fault::stuck_after_start);
  }
  const auto begin = std::chrono::steady_clock::now();
  bench.runtime().kill("c1", SIGKILL, all);
  CHECK(std::chrono::steady_clock::now() - begin < 60s);
  CHECK(bench.runtime().state("c1").status == "stopped");
  bench.runtime().remove("c1", false);
  CHECK(bench.left() == Lines{});
}

TEST_CASE("kill: a signal and --all arrive at the agent as they are", "[runtime][root]") {
  HuskBench bench;
  bench.create();
  bench.runtime().start("c1");
  bench.runtime().kill("c1", SIGUSR1, false);
  bench.runtime().kill("c1", SIGUSR2, true);
  bench.runtime().kill("c1", 0, false);  // asks only whether it is there
  CHECK(bench.journal() == Lines{"create", "own", "start", "signal 10", "signal 12 all"});
  CHECK(bench.runtime().state("c1").status == "running");
}

TEST_CASE("kill: a signal that the agent refuses is told, and the container runs on",
          "[runtime][root]") {
  HuskBench bench;
  bench.machine.fault = Fault::refuses_signals;
  bench.create();
  bench.runtime().start("c1");
  CHECK_THAT(failure_text([&] { bench.runtime().kill("c1", SIGUSR1, false); }),
             ContainsSubstring("the guest did not take signal 10: signal refused"));
  CHECK(bench.runtime().state("c1").status == "running");
}

TEST_CASE("kill: a stopped container is refused, and is fine with --all", "[runtime][root]") {
  HuskBench bench;
  bench.create();
  bench.runtime().kill("c1", SIGKILL, false);
  REQUIRE(bench.runtime().state("c1").status == "stopped");
  for (const int signal : {SIGKILL, SIGTERM, 0}) {
    CHECK_THAT(failure_text([&] { bench.runtime().kill("c1", signal, false); }),
               ContainsSubstring("container not running"));
    CHECK_NOTHROW(bench.runtime().kill("c1", signal, true));
  }
}

TEST_CASE("kill: a container that does not exist is refused", "[runtime][root]") {
  HuskBench bench;
  CHECK_THAT(failure_text([&] { bench.runtime().kill("c1", SIGKILL, false); }),
             ContainsSubstring("container does not exist"));
}

TEST_CASE("hooks: each kind at its moment, with the state of that moment", "[runtime][root]") {
  HuskBench bench;
  const auto hook = [&](const std::string& kind) {
    return script_hook(bench, "echo $(cat) >> $BENCH/states; echo " + kind + " >> $BENCH/kinds");
  };
  bench.spec.hooks.poststop = {hook("poststop")};
  bench.spec.hooks.poststart = {hook("poststart")};
  bench.spec.hooks.create_runtime = {hook("createRuntime"), hook("createRuntime2")};
  bench.spec.hooks.prestart = {hook("prestart")};
  const pid_t pid = bench.create().shim_pid;
  CHECK(bench.text_in("kinds") == "prestart\ncreateRuntime\ncreateRuntime2\n");
  bench.runtime().start("c1");
  bench.runtime().remove("c1", true);
  CHECK(bench.text_in("kinds") == "prestart\ncreateRuntime\ncreateRuntime2\npoststart\npoststop\n");
  std::vector<nlohmann::json> states;
  std::istringstream lines(bench.text_in("states"));
  for (std::string line; std::getline(lines, line);) states.push_back(nlohmann::json::parse(line));
  REQUIRE(states.size() == 5);
  const char* const statuses[] = {"creating", "creating", "creating", "running", "stopped"};
  for (std::size_t n = 0; n < states.size(); ++n) {
    CAPTURE(n);
    CHECK(states[n].at("id") == "c1");
    CHECK(states[n].at("bundle") == bench.path("bundle").string());
    CHECK(states[n].at("status") == statuses[n]);
    CHECK(states[n].at("pid") == (n < 4 ? pid : 0));
  }
}
