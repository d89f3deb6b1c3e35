// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host_cgroup.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/random_id.hpp"

using namespace husk;
using namespace husk::runtime;

TEST_CASE("cgroup_path: every form the callers use", "[runtime]") {
  CHECK(cgroup_path("", "c1", false) == "/husk/c1");
  CHECK(cgroup_path("/docker/abc", "c1", false) == "/docker/abc");
  CHECK(cgroup_path("libpod_parent/x", "c1", false) == "/libpod_parent/x");
  CHECK(cgroup_path("system.slice:docker:abc", "c1", true) == "/system.slice/docker-abc.scope");
  CHECK(cgroup_path("a-b-c.slice:crio:x", "c1", true) ==
        "/a.slice/a-b.slice/a-b-c.slice/crio-x.scope");
  CHECK(cgroup_path("-.slice:p:x", "c1", true) == "/p-x.scope");
  CHECK_THROWS_AS(cgroup_path("/a/../../b", "c1", false), Error);
  CHECK_THROWS_AS(cgroup_path("/", "c1", false), Error);
}

TEST_CASE("HostCgroup: a process put into it is there in every hierarchy; it goes unless kept",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const std::string path = "/husk-test-" + random_hex(4) + "/leaf";
  std::vector<std::filesystem::path> made;
  {
    const HostCgroup cgroup(path);
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
