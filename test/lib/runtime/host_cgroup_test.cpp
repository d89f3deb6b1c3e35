// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host_cgroup.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/random_id.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;

namespace {
std::string path_of(const std::string& cgroups_path, bool systemd) {
  return plan_cgroup(cgroups_path, "c1", systemd, {}).path;
}
}  // namespace

TEST_CASE("plan_cgroup: every form the callers use", "[runtime]") {
  CHECK(path_of("", false) == "/husk/c1");
  CHECK(path_of("/docker/abc", false) == "/docker/abc");
  CHECK(path_of("libpod_parent/x", false) == "/libpod_parent/x");
  CHECK(path_of("system.slice:docker:abc", true) == "/system.slice/docker-abc.scope");
  CHECK(path_of("a-b-c.slice:crio:x", true) == "/a.slice/a-b.slice/a-b-c.slice/crio-x.scope");
  CHECK(path_of("-.slice:p:x", true) == "/p-x.scope");
  CHECK(path_of(":p:x", true) == "/system.slice/p-x.scope");
  CHECK(path_of("", true) == "/system.slice/husk-c1.scope");
  CHECK(path_of("machine.slice::pod.slice", true) == "/machine.slice/pod.slice");
  CHECK_THROWS_AS(path_of("/a/../../b", false), Error);
  CHECK_THROWS_AS(path_of("/", false), Error);
}

TEST_CASE("plan_cgroup: systemd's unit has the caller's slice, name and properties", "[runtime]") {
  const CgroupPlan plan =
      plan_cgroup("system.slice:docker:abc", "abc", true,
                  {{"org.systemd.property.CollectMode", "'inactive-or-failed'"}, {"other", "x"}});
  REQUIRE(plan.scope);
  CHECK(plan.scope->name == "docker-abc.scope");
  CHECK(plan.scope->slice == "system.slice");
  CHECK(plan.scope->properties ==
        std::vector<systemd::UnitProperty>{{"CollectMode", std::string("inactive-or-failed")}});
  CHECK_FALSE(plan_cgroup("/docker/abc", "abc", false, {}).scope);
}

TEST_CASE("plan_cgroup: another form for systemd is refused as runc refuses it", "[runtime]") {
  for (const char* form : {"/docker/abc", "a:b", "a:b:c:d"}) {
    CHECK_THROWS_WITH(path_of(form, true),
                      ContainsSubstring("slice:prefix:name") && ContainsSubstring(form));
  }
}

TEST_CASE("HostCgroup: a process put into it is there in every hierarchy; it goes unless kept",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const std::string path = "/husk-test-" + random_hex(4) + "/leaf";
  std::vector<std::filesystem::path> made;
  {
    HostCgroup cgroup({path, std::nullopt});
    made = cgroup.made();
    REQUIRE(made.size() >= 2);
    const pid_t child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    cgroup.add(child);
    std::ifstream table("/proc/" + std::to_string(child) + "/cgroup");
    std::size_t inside = 0;
    for (std::string line; std::getline(table, line);) inside += line.ends_with(path) ? 1U : 0U;
    CHECK(inside == made.size() / 2);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  for (const auto& directory : made) CHECK_FALSE(std::filesystem::exists(directory));
}
