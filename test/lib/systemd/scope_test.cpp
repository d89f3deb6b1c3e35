// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/scope.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "test/lib/systemd/fake_manager.hpp"

using namespace husk;
using namespace husk::systemd;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;
using Units = std::map<std::string, std::string>;

namespace {

constexpr const char* ours = "husk container c1 in VM 12345678";

ScopePlan plan(const std::string& name) {
  return {.name = name, .slice = "system.slice", .description = ours, .properties = {}};
}

/// What stop_scope logs.
std::string stop_and_tell(const std::string& name) {
  std::string told;
  set_log_sink([&](LogLevel, std::string_view text) { told = text; });
  stop_scope(name, ours);
  set_log_sink({});
  return told;
}

}  // namespace

TEST_CASE("stop_scope: stops the unit that start_scope made, and no other of its name",
          "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  const std::string name = GENERATE("a-c1.scope", "a-c1.slice");
  SECTION("ours") {
    start_scope(plan(name), ::getpid());
    CHECK(manager.units() == Units{{name, ours}});
    stop_scope(name, ours);
    CHECK(manager.units().empty());
  }
  SECTION("another runtime's, which made start_scope fail") {
    manager.add(name, "libcontainer container c2");
    CHECK_THROWS_WITH(start_scope(plan(name), ::getpid()), ContainsSubstring("already loaded"));
    stop_scope(name, ours);
    CHECK(manager.units() == Units{{name, "libcontainer container c2"}});
  }
  SECTION("none: it ended with its last process") {
    manager.add("b.scope", ours);
    stop_scope(name, ours);
    CHECK(manager.units() == Units{{"b.scope", ours}});
  }
}

TEST_CASE("start_scope: a Description of the caller's does not hide the unit from stop_scope",
          "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  ScopePlan unit = plan("a.scope");
  unit.properties.push_back({"Description", std::string("the caller's")});
  start_scope(unit, ::getpid());
  stop_scope("a.scope", unit.description);
  CHECK(manager.units().empty());
}

TEST_CASE("start_scope: asks for what runc asks for", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  ScopePlan unit = plan("a-c1.scope");
  unit.properties = {{"TimeoutStopUSec", std::uint64_t{7}},
                     {"CPUWeight", std::int32_t{-1}},
                     {"After", std::vector<std::string>{"a.service", "b c"}},
                     {"Ratio", 1.5},
                     {"Delegate", false}};
  start_scope(unit, ::getpid());
  REQUIRE(manager.requests().size() == 1);
  const StartRequest request = manager.requests()[0];
  CHECK(request.mode == "replace");
  CHECK(request.properties ==
        std::map<std::string, std::string>{{"MemoryAccounting", "b true"},
                                           {"CPUAccounting", "b true"},
                                           {"IOAccounting", "b true"},
                                           {"TasksAccounting", "b true"},
                                           {"DefaultDependencies", "b false"},
                                           {"Slice", "s system.slice"},
                                           {"Delegate", "b false"},  // the caller's is the last
                                           {"TimeoutStopUSec", "t 7"},
                                           {"CPUWeight", "i -1"},
                                           {"After", "as [a.service, b c]"},
                                           {"Ratio", "d 1.500000"},
                                           {"Description", std::string("s ") + ours},
                                           {"PIDs", "au [" + std::to_string(::getpid()) + "]"}});
}

TEST_CASE("start_scope: a slice wants its parent, and takes no process", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  start_scope(plan("a-c1.slice"), ::getpid());
  auto properties = manager.requests().at(0).properties;
  CHECK(properties["Wants"] == "as [system.slice]");
  for (const char* of_a_scope : {"Slice", "Delegate", "PIDs"})
    CHECK_FALSE(properties.contains(of_a_scope));
}

TEST_CASE("start_scope: the name of a unit that failed is used again", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  manager.add_failed("a.scope", "an earlier container");
  start_scope(plan("a.scope"), ::getpid());
  CHECK(manager.units() == Units{{"a.scope", ours}});
  CHECK(manager.requests().size() == 2);
}

TEST_CASE("start_scope: a refusal is not asked for again", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  manager.break_method("StartTransientUnit", {});
  CHECK_THROWS_WITH(start_scope(plan("a.scope"), ::getpid()),
                    Equals("systemd: start unit a.scope: Access denied"));
  CHECK(manager.calls("StartTransientUnit") == 1);
  CHECK(manager.calls("ResetFailedUnit") == 0);
}

TEST_CASE("start_scope: the unit's job decides", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  SECTION("done, told before the answer") {
    manager.end_jobs_as("done", JobEnd::before_the_answer);
    CHECK_NOTHROW(start_scope(plan("a.scope"), ::getpid()));
  }
  for (const char* result : {"failed", "timeout", "dependency", "canceled", "skipped", ""}) {
    DYNAMIC_SECTION("ended as " << result) {
      manager.end_jobs_as(result);
      CHECK_THROWS_WITH(
          start_scope(plan("a.scope"), ::getpid()),
          Equals("systemd: start unit a.scope: the job ended as \"" + std::string(result) + "\""));
      // What create's clean-up does: nothing is left of the failed unit.
      stop_scope("a.scope", ours);
      CHECK(manager.units().empty());
    }
  }
}

TEST_CASE("start_scope: an answer that cannot be read is an error", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  SECTION("of another type") {
    manager.break_method("StartTransientUnit", {.kind = Fault::Kind::wrong_type});
    CHECK_THROWS_WITH(start_scope(plan("a.scope"), ::getpid()),
                      ContainsSubstring("systemd: start unit a.scope: systemd: read the answer"));
  }
  SECTION("systemd is executed anew meanwhile") {
    manager.break_method("StartTransientUnit", {.kind = Fault::Kind::hang_up});
    CHECK_THROWS_WITH(start_scope(plan("a.scope"), ::getpid()),
                      ContainsSubstring("systemd: start unit a.scope: "));
  }
}

TEST_CASE("stop_scope: goes on after every error, and logs it", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  start_scope(plan("a.scope"), ::getpid());
  SECTION("the unit cannot be looked for") {
    manager.break_method("GetUnit", {});
    CHECK(stop_and_tell("a.scope") == "stop unit a.scope: systemd: find the unit: Access denied");
    CHECK(manager.calls("StopUnit") == 0);
  }
  SECTION("its description cannot be read") {
    manager.break_method("Get", {});
    CHECK_THAT(stop_and_tell("a.scope"), ContainsSubstring("read the description: Access denied"));
    CHECK(manager.calls("StopUnit") == 0);
  }
  SECTION("its description is none") {
    manager.break_method("Get", {.kind = Fault::Kind::wrong_type});
    CHECK_THAT(stop_and_tell("a.scope"), ContainsSubstring("read the description"));
    CHECK(manager.calls("StopUnit") == 0);
  }
  SECTION("it goes between the look and the stop") {
    manager.break_method("StopUnit", {.name = "org.freedesktop.systemd1.NoSuchUnit"});
    CHECK(stop_and_tell("a.scope").empty());
    CHECK(manager.calls("ResetFailedUnit") == 1);
  }
  SECTION("systemd goes") {
    manager.break_method("StopUnit", {.kind = Fault::Kind::hang_up});
    CHECK_NOTHROW(stop_and_tell("a.scope"));
  }
  SECTION("another's unit is named with its description") {
    manager.add("b.scope", "theirs");
    CHECK_THAT(stop_and_tell("b.scope"), ContainsSubstring("its description is \"theirs\""));
  }
}

TEST_CASE("systemd: a host without it", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  { const FakeManager gone; }  // leaves a socket at which nobody listens
  CHECK_FALSE(is_running());
  CHECK_THROWS_WITH(start_scope(plan("a.scope"), ::getpid()),
                    ContainsSubstring("systemd: connect to D-Bus: "));
  CHECK_THAT(stop_and_tell("a.scope"),
             ContainsSubstring("stop unit a.scope: systemd: connect to D-Bus: "));
  REQUIRE(::mkdir("/run/systemd/system", 0755) == 0);
  CHECK(is_running());
}
