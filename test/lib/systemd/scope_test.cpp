// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/scope.hpp"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "test/lib/systemd/fake_manager.hpp"

using namespace husk;
using namespace husk::systemd;
using Catch::Matchers::ContainsSubstring;
using Units = std::map<std::string, std::string>;

namespace {

ScopePlan plan(const std::string& name) {
  return {.name = name,
          .slice = "system.slice",
          .description = "husk container c1 in VM 12345678",
          .properties = {}};
}

}  // namespace

TEST_CASE("stop_scope: stops the unit that start_scope made, and no other of its name",
          "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  const std::string name = GENERATE("a-c1.scope", "a-c1.slice");
  SECTION("ours") {
    start_scope(plan(name), ::getpid());
    CHECK(manager.units() == Units{{name, "husk container c1 in VM 12345678"}});
    stop_scope(name, "husk container c1 in VM 12345678");
    CHECK(manager.units().empty());
  }
  SECTION("another runtime's, which made start_scope fail") {
    manager.add(name, "libcontainer container c2");
    CHECK_THROWS_WITH(start_scope(plan(name), ::getpid()), ContainsSubstring("already loaded"));
    stop_scope(name, "husk container c1 in VM 12345678");
    CHECK(manager.units() == Units{{name, "libcontainer container c2"}});
  }
  SECTION("none: it ended with its last process") {
    manager.add("b.scope", "husk container c1 in VM 12345678");
    stop_scope(name, "husk container c1 in VM 12345678");
    CHECK(manager.units() == Units{{"b.scope", "husk container c1 in VM 12345678"}});
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
