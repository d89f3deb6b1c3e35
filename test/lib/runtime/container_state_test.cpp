// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/record/container_state.hpp"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <map>

#include "lib/base/error.hpp"
#include "lib/runtime/record/container_record.hpp"
#include "lib/runtime/runtime.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
using enum ContainerState;

namespace {

/// Empty if it is allowed.
template <class F>
std::string refusal(F&& f) {
  try {
    f();
    return "";
  } catch (const Error& e) {
    CHECK(e.code() == Errc::wrong_state);
    return e.what();
  }
}

/// What a create leaves that was killed before the shim was known.
class HalfMade {
 public:
  HalfMade() {
    ContainerRecord record;
    record.vm_id = "0000cafe";
    record.id = "c1";
    StateDir reserved = StateStore(scratch_.path()).reserve("c1");
    reserved.save(record);
    reserved.keep();
  }
  Runtime runtime() const { return {scratch_.path(), Config{}, InstallPaths{}}; }

 private:
  test::Scratch scratch_;
};

}  // namespace

TEST_CASE("ContainerState: has the runtime specification's names", "[runtime]") {
  CHECK(name_of(creating) == "creating");
  CHECK(name_of(created) == "created");
  CHECK(name_of(running) == "running");
  CHECK(name_of(paused) == "paused");
  CHECK(name_of(stopped) == "stopped");
}

TEST_CASE("state_of: follows the shim, and without one, create", "[runtime]") {
  ContainerRecord record;
  CHECK(state_of(record, true) == creating);
  CHECK(state_of(record, false) == stopped);
  record.shim = identify_process(::getpid());
  CHECK(state_of(record, true) == created);  // create is about to end
  CHECK(state_of(record, false) == created);
  record.started = true;
  CHECK(state_of(record, false) == running);
  record.paused = true;
  CHECK(state_of(record, false) == paused);
  record.started = false;  // created, and paused before its start
  CHECK(state_of(record, false) == paused);
  ++record.shim->start_time;  // that process is gone, another has its pid
  CHECK(state_of(record, true) == stopped);
  CHECK(state_of(record, false) == stopped);
}

TEST_CASE("ContainerRecord: shows the shim's pid unless the container has stopped", "[runtime]") {
  ContainerRecord record;
  CHECK(record.to_state(creating).pid == 0);
  record.shim = ProcessIdentity{.pid = 17, .start_time = 1};
  for (const ContainerState state : container_states) {
    CAPTURE(name_of(state));
    CHECK(record.to_state(state).status == name_of(state));
    CHECK(record.to_state(state).pid == (state == stopped ? 0 : 17));
  }
}

TEST_CASE("check_allowed: each command in each state, with runc's text", "[runtime]") {
  const std::string yes;
  const std::map<Command, std::map<ContainerState, std::string>> expected{
      {Command::start,
       {{creating, "cannot start a container in the creating state"},
        {created, yes},
        {running, "cannot start an already running container"},
        {paused, "cannot start a container in the paused state"},
        {stopped, "cannot start a container that has stopped"}}},
      {Command::exec,
       {{creating, "cannot exec in a container in the creating state"},
        {created, yes},
        {running, yes},
        {paused, "cannot exec in a paused container (use --ignore-paused to override)"},
        {stopped, "cannot exec in a stopped container"}}},
      {Command::ps,
       {{creating, "container not running"},
        {created, yes},
        {running, yes},
        {paused, yes},
        {stopped, "container not running"}}},
      {Command::kill,
       {{creating, "container not running"},
        {created, yes},
        {running, yes},
        {paused, yes},
        {stopped, "container not running"}}},
      {Command::kill_all,
       {{creating, "container not running"},
        {created, yes},
        {running, yes},
        {paused, yes},
        {stopped, yes}}},
      {Command::pause,
       {{creating, "container not running"},
        {created, yes},
        {running, yes},
        {paused, "container not running"},
        {stopped, "container not running"}}},
      {Command::resume,
       {{creating, "container not paused"},
        {created, "container not paused"},
        {running, "container not paused"},
        {paused, yes},
        {stopped, "container not paused"}}},
      {Command::update,
       {{creating, "container not running"},
        {created, yes},
        {running, yes},
        {paused, yes},
        {stopped, "container not running"}}},
      {Command::events,
       {{creating, "container with id c1 is not running"},
        {created, yes},
        {running, yes},
        {paused, yes},
        {stopped, "container with id c1 is not running"}}},
      {Command::remove,
       {{creating, "cannot delete container c1 that is not stopped: creating"},
        {created, yes},
        {running, "cannot delete container c1 that is not stopped: running"},
        {paused, "cannot delete container c1 that is not stopped: paused"},
        {stopped, yes}}}};
  for (const Command command : commands) {
    for (const ContainerState state : container_states) {
      CAPTURE(static_cast<int>(command), name_of(state));
      CHECK(refusal([&] { check_allowed(command, state, "c1"); }) ==
            expected.at(command).at(state));
    }
  }
}

TEST_CASE("ContainerState: all commands agree that a half-made container has stopped",
          "[runtime]") {
  const HalfMade half_made;
  Runtime runtime = half_made.runtime();
  ExecRequest exec;
  exec.id = "c1";
  CHECK(runtime.state("c1").status == "stopped");
  REQUIRE(runtime.list().size() == 1);
  CHECK(runtime.list().front().status == "stopped");
  CHECK(refusal([&] { runtime.start("c1"); }) == "cannot start a container that has stopped");
  CHECK(refusal([&] { runtime.exec(exec); }) == "cannot exec in a stopped container");
  CHECK(refusal([&] { runtime.kill("c1", SIGKILL, false); }) == "container not running");
  CHECK_NOTHROW(runtime.kill("c1", SIGKILL, true));
  runtime.remove("c1", false);
  CHECK(runtime.list().empty());
}
