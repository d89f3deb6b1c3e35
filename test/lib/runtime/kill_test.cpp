// SPDX-License-Identifier: Apache-2.0

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "lib/base/error.hpp"
#include "test/lib/runtime/husk_bench.hpp"

using namespace husk;
using namespace husk::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

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
  bench.kill_patience = {.ask_to_kill = 500ms, .end = 500ms};
  bench.create();
  try {
    bench.runtime().start("c1");
  } catch (const Error&) {
    CHECK(bench.machine.fault == Fault::stuck_after_start);
  }
  const auto begin = std::chrono::steady_clock::now();
  bench.runtime().kill("c1", SIGKILL, all);
  CHECK(std::chrono::steady_clock::now() - begin < 55s);  // with the limits of earnest 4 s longer
  CHECK(bench.runtime().state("c1").status == "stopped");
  bench.runtime().remove("c1", false);
  CHECK(bench.left() == Lines{});
}

TEST_CASE("kill: what is waited for in earnest", "[runtime]") {
  const runtime::KillPatience limits;
  CHECK(limits.ask == 5s);
  CHECK(limits.ask_to_kill == 2s);
  CHECK(limits.end == 3s);
  CHECK(limits.ended == 1s);
  CHECK(limits.forced_end == 5s);
}

TEST_CASE("kill: a signal and --all arrive at the agent as they are", "[runtime][root]") {
  HuskBench bench;
  bench.create_and_start();
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
  bench.create_and_start();
  CHECK_THAT(failure_text([&] { bench.runtime().kill("c1", SIGUSR1, false); }),
             ContainsSubstring("the guest did not take signal 10: the agent answered "
                               "signal_process with a system error"));
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
  bench.spec.hooks.create_container = {hook("createContainer")};
  bench.spec.hooks.create_runtime = {hook("createRuntime"), hook("createRuntime2")};
  bench.spec.hooks.prestart = {hook("prestart")};
  const pid_t pid = bench.create().shim_pid;
  const std::string in_create = "prestart\ncreateRuntime\ncreateRuntime2\ncreateContainer\n";
  CHECK(bench.text_in("kinds") == in_create);
  bench.runtime().start("c1");
  bench.runtime().remove("c1", true);
  CHECK(bench.text_in("kinds") == in_create + "poststart\npoststop\n");
  std::vector<nlohmann::json> states;
  std::istringstream lines(bench.text_in("states"));
  for (std::string line; std::getline(lines, line);) states.push_back(nlohmann::json::parse(line));
  REQUIRE(states.size() == 6);
  const char* const statuses[] = {"creating", "creating", "creating",
                                  "creating", "running",  "stopped"};
  for (std::size_t n = 0; n < states.size(); ++n) {
    CAPTURE(n);
    CHECK(states[n].at("id") == "c1");
    CHECK(states[n].at("bundle") == bench.path("bundle").string());
    CHECK(states[n].at("status") == statuses[n]);
    CHECK(states[n].at("pid") == (n < 5 ? pid : 0));
  }
}

TEST_CASE("hooks: createContainer is in the shim's namespaces and among the host's files",
          "[runtime][root]") {
  HuskBench bench;
  fs::create_directory(bench.path("point"));
  std::ofstream(bench.path("rootfs-of-the-bundle")) << bench.path("bundle/rootfs").string();
  // Its mount is there for itself, and for nobody else.
  bench.spec.hooks.create_container = {script_hook(
      bench,
      "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')\n"
      "for ns in net uts ipc mnt; do\n"
      "  [ $(readlink /proc/self/ns/$ns) = $(readlink /proc/$pid/ns/$ns) ] && echo $ns\n"
      "done >$BENCH/shared\n"
      "touch $(cat $BENCH/rootfs-of-the-bundle)/made-by-hook\n"
      "mount -t tmpfs none $BENCH/point && touch $BENCH/point/inside && ls $BENCH/point "
      ">$BENCH/seen")};
  bench.create();
  CHECK(bench.text_in("shared") == "net\nuts\nipc\n");
  CHECK(bench.text_in("seen") == "inside\n");
  CHECK_FALSE(fs::exists(bench.path("point/inside")));
  CHECK(fs::exists(bench.path("bundle/rootfs/made-by-hook")));
  bench.runtime().remove("c1", true);
}

TEST_CASE("hooks: one that fails in create ends it, and poststop follows when all is undone",
          "[runtime][root]") {
  HuskBench bench;
  const auto note = [&](const std::string& kind) {
    return script_hook(bench, "echo " + kind + " $(cat) >> $BENCH/ran");
  };
  const auto failing = script_hook(bench, "echo why; exit 4");
  std::string kind;
  SECTION("prestart") {
    kind = "prestart";
    bench.spec.hooks.prestart = {failing};
    bench.spec.hooks.create_runtime = {note("createRuntime")};
    bench.spec.hooks.create_container = {note("createContainer")};
  }
  SECTION("createRuntime") {
    kind = "createRuntime";
    bench.spec.hooks.create_runtime = {failing};
    bench.spec.hooks.create_container = {note("createContainer")};
  }
  SECTION("createContainer") {
    kind = "createContainer";
    bench.spec.hooks.create_container = {failing};
  }
  SECTION("createContainer, by its time limit") {
    kind = "createContainer, late";
    bench.spec.hooks.create_container = {script_hook(bench, "sleep 60")};
    bench.spec.hooks.create_container[0].timeout = 1;
  }
  // The state is gone by then, and the second runs although the first fails.
  bench.spec.hooks.poststop = {script_hook(bench, "exit 1"), note("poststop")};
  bench.spec.hooks.poststart = {note("poststart")};
  const std::string text = failure_text([&] { bench.create(); });
  if (kind == "createContainer, late")
    CHECK_THAT(text, ContainsSubstring("createContainer hook #0 /bin/sh: ") &&
                         ContainsSubstring("did not end within 1000 ms"));
  else
    CHECK_THAT(text, ContainsSubstring(kind + " hook #0 /bin/sh: exit status 4: why"));
  const std::string ran = bench.text_in("ran");
  REQUIRE(ran.starts_with("poststop {"));
  const auto state = nlohmann::json::parse(ran.substr(ran.find('{')));
  CHECK(state.at("status") == "stopped");
  CHECK(state.at("pid") == 0);
  CHECK(state.at("id") == "c1");
  CHECK(bench.left().empty());
}

TEST_CASE("hooks: the guest is told the state for startContainer hooks, and only for them",
          "[runtime][root]") {
  HuskBench bench;
  bench.spec.annotations = {{"key", "value"}};
  const auto told = [&]() -> std::optional<nlohmann::json> {
    bench.create();
    bench.runtime().remove("c1", true);
    const std::string mark = "hook state ";
    for (const std::string& line : bench.journal())
      if (line.starts_with(mark)) return nlohmann::json::parse(line.substr(mark.size()));
    return std::nullopt;
  };
  CHECK_FALSE(told());
  bench.spec.hooks.start_container = {script_hook(bench, "exit 1")};  // a program of the image's
  const auto state = told();
  REQUIRE(state);
  CHECK(state->at("status") == "created");
  CHECK(state->at("id") == "c1");
  CHECK(state->at("bundle") == bench.path("bundle").string());
  CHECK(state->at("annotations").at("key") == "value");
}

namespace {

/// What engines look for, in any case, to know that a container is gone or in another state.
bool tells_state(const std::string& text) {
  for (const char* phrase : {"not running", "no such process", "does not exist"})
    if (text.find(phrase) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("guest: an agent that lies about the state of a running container decides no error text",
          "[runtime][root]") {
  HuskBench bench;
  bench.machine.fault = Fault::lies_about_states;
  bench.create_and_start();
  CHECK(failure_text([&] { bench.runtime().kill("c1", SIGTERM, false); }) ==
        "the guest did not take signal 15: the agent answered signal_process with a wrong state "
        "(its text is in the debug log)");
  oci::Resources resources;
  resources.pids_limit = 10;
  const std::function<void()> commands[] = {
      [&] { bench.runtime().pause("c1"); }, [&] { bench.runtime().update("c1", resources); },
      [&] { (void)bench.runtime().statistics("c1"); },
      [&] { (void)bench.runtime().guest_processes("c1"); },
      [&] { bench.runtime().follow_events("c1", 10s, [](const auto&) {}); }};
  for (const auto& command : commands) {
    const std::string text = failure_text(command);
    CAPTURE(text);
    CHECK_FALSE(tells_state(text));
  }
  bench.runtime().kill("c1", SIGKILL, false);
  CHECK(bench.runtime().state("c1").status == "stopped");
}
