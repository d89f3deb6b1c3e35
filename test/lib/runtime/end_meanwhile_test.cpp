// SPDX-License-Identifier: Apache-2.0
// Commands that are at work on a container when that ends; for exec: exec_test.cpp.
#include "lib/runtime/record/end_meanwhile.hpp"

#include <catch2/catch_test_macros.hpp>
#include <csignal>

#include "lib/base/process.hpp"
#include "test/lib/runtime/husk_bench.hpp"

using namespace husk;
using namespace husk::test;

namespace {

using Lines = std::vector<std::string>;

/// Runs `command` on a container that runs: the guest refuses what it is asked, and the container ends then.
void check_end(const std::string& text, const std::function<void(runtime::Runtime&)>& command,
               bool paused = false) {
  HuskBench bench;
  bench.machine.fault = Fault::ends_meanwhile;
  bench.create();
  runtime::Runtime husk = bench.runtime();
  husk.start("c1");
  if (paused) {
    runtime::StateStore store(bench.path("root"));
    runtime::ContainerRecord record = store.load("c1");
    record.paused = true;
    store.save(record);
  }
  CHECK(failure_text([&] { command(husk); }) == text);
  husk.remove("c1", true);
  CHECK(bench.left() == Lines{});
}

}  // namespace

TEST_CASE("end meanwhile: each command says what it says of a stopped container",
          "[runtime][root]") {
  SECTION("pause") {
    check_end("container not running", [](runtime::Runtime& husk) { husk.pause("c1"); });
  }
  SECTION("resume") {
    check_end(
        "container not paused", [](runtime::Runtime& husk) { husk.resume("c1"); }, true);
  }
  SECTION("update") {
    check_end("container not running", [](runtime::Runtime& husk) { husk.update("c1", {}); });
  }
  SECTION("ps") {
    check_end("container not running", [](runtime::Runtime& husk) { husk.guest_processes("c1"); });
  }
  SECTION("events --stats") {
    check_end("container with id c1 is not running",
              [](runtime::Runtime& husk) { husk.statistics("c1"); });
  }
  SECTION("events") {
    check_end("container with id c1 is not running", [](runtime::Runtime& husk) {
      husk.follow_events("c1", std::chrono::seconds{1}, [](const auto&) {});
    });
  }
}

TEST_CASE("end meanwhile: the error of a command on a container that runs stays",
          "[runtime][root]") {
  HuskBench bench;
  bench.create();
  const runtime::StateStore store(bench.path("root"));
  const runtime::ContainerRecord record = store.load("c1");
  for (const Errc code : {Errc::wrong_state, Errc::system}) {
    const Error error(code, "as it is");
    CHECK_NOTHROW(runtime::check_not_ended(store, record, runtime::Command::exec, error));
  }
  bench.runtime().kill("c1", SIGKILL, false);
  const Error error(Errc::system, "as it is");
  const auto check = [&] {
    runtime::check_not_ended(store, record, runtime::Command::exec, error);
  };
  CHECK(failure_text(check) == "cannot exec in a stopped container");
  bench.runtime().remove("c1", true);
  CHECK(failure_text(check) == "container does not exist");
}
