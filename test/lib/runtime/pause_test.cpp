// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <csignal>

#include "lib/base/error.hpp"
#include "test/lib/runtime/husk_bench.hpp"

using namespace husk;
using namespace husk::test;

namespace {

using Lines = std::vector<std::string>;

std::string status(HuskBench& bench) { return bench.runtime().state("c1").status; }

}  // namespace

TEST_CASE("pause: a paused container shows it, and is resumed to what it was", "[runtime][root]") {
  HuskBench bench;
  bench.create();
  const std::string before = GENERATE(std::string("created"), std::string("running"));
  if (before == "running") bench.runtime().start("c1");
  bench.runtime().pause("c1");
  CHECK(status(bench) == "paused");
  CHECK(bench.runtime().state("c1").pid != 0);
  CHECK(failure_text([&] { bench.runtime().pause("c1"); }) == "container not running");
  CHECK(failure_text([&] { bench.runtime().start("c1"); }) ==
        "cannot start a container in the paused state");
  CHECK(failure_text([&] { bench.runtime().remove("c1", false); }) ==
        "cannot delete container c1 that is not stopped: paused");
  bench.runtime().resume("c1");
  CHECK(status(bench) == before);
  CHECK(failure_text([&] { bench.runtime().resume("c1"); }) == "container not paused");
}

TEST_CASE("pause: a guest that cannot leaves it running", "[runtime][root]") {
  HuskBench bench;
  bench.machine.fault = Fault::refuses_pause;
  bench.create_and_start();
  CHECK(failure_text([&] { bench.runtime().pause("c1"); }) ==
        "the guest did not pause the container: the agent answered pause_container with a time-out "
        "(its text is in the debug log)");
  CHECK(bench.journal() == Lines{"create", "own", "start", "pause c1", "resume c1"});
  CHECK(status(bench) == "running");
}

TEST_CASE("pause: a paused container is killed and deleted like any other", "[runtime][root]") {
  HuskBench bench;
  bench.create_and_start();
  bench.runtime().pause("c1");
  SECTION("kill") {
    bench.runtime().kill("c1", SIGKILL, false);
    CHECK(status(bench) == "stopped");
    CHECK(failure_text([&] { bench.runtime().pause("c1"); }) == "container not running");
    CHECK(failure_text([&] { bench.runtime().resume("c1"); }) == "container not paused");
    bench.runtime().remove("c1", false);
  }
  SECTION("delete --force") { bench.runtime().remove("c1", true); }
  CHECK(bench.left() == Lines{});
}

TEST_CASE("pause: exec is refused, but where it says that it knows", "[runtime][root]") {
  HuskBench bench;
  bench.create_and_start();
  bench.runtime().pause("c1");
  runtime::ExecRequest request;
  request.id = "c1";
  CHECK(failure_text([&] { bench.runtime().exec(request); }) ==
        "cannot exec in a paused container (use --ignore-paused to override)");
}
