// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/unit_limits.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "test/lib/systemd/fake_manager.hpp"

using namespace husk;
using namespace husk::systemd;
using Catch::Matchers::ContainsSubstring;
using Properties = std::map<std::string, std::string>;

namespace {

constexpr UnitLimits no_limits{};

}  // namespace

TEST_CASE("limit_unit: what is limited, what is no longer, and nothing else", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  ::mkdir("/run/systemd/system", 0755);
  manager.add("c1.scope", "ours");
  SECTION("all") {
    limit_unit("c1.scope", {.memory_bytes = 4096, .quota_us = 50000, .cpu_weight = 39, .tasks = 7},
               no_limits);
    CHECK(manager.changes()["c1.scope"] == Properties{{"MemoryMax", "t 4096"},
                                                      {"CPUQuotaPerSecUSec", "t 500000"},
                                                      {"CPUWeight", "t 39"},
                                                      {"TasksMax", "t 7"}});
  }
  SECTION("one more, one less") {
    limit_unit("c1.scope", {.tasks = 7}, {.memory_bytes = 4096});
    CHECK(manager.changes()["c1.scope"] ==
          Properties{{"MemoryMax", "t 18446744073709551615"}, {"TasksMax", "t 7"}});
  }
  SECTION("nothing") {
    limit_unit("c1.scope", no_limits, no_limits);
    CHECK(manager.calls("GetUnit") == 0);
  }
  SECTION("a cgroup of such a name that is no unit's") {
    limit_unit("c2.scope", {.tasks = 7}, no_limits);
    CHECK(manager.calls("SetUnitProperties") == 0);
  }
  SECTION("systemd refuses") {
    manager.break_method("SetUnitProperties", {});
    CHECK_THROWS_WITH(limit_unit("c1.scope", {.tasks = 7}, no_limits),
                      ContainsSubstring("limit unit c1.scope: Access denied"));
  }
}
