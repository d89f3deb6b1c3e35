// SPDX-License-Identifier: Apache-2.0
// Containers under whole seccomp profiles: what the agent does after it has loaded one must be no
// more than what runc does, for which people write their profiles.
#include <catch2/catch_test_macros.hpp>

#include "test/agent/container_bench.hpp"
#include "test/agent/profiles.hpp"

using husk::test::Bench;
using husk::test::load_profile;

namespace {

struct Case {
  const char* profile;
  bool no_new_privileges;
  unsigned uid;
};

void check_runs(const Case& one) {
  CAPTURE(one.profile, one.no_new_privileges, one.uid);
  Bench bench;
  husk::oci::Spec spec = bench.spec("echo ran; exit 5");
  spec.linux_.seccomp = load_profile(one.profile);
  spec.process->no_new_privileges = one.no_new_privileges;
  spec.process->user.uid = spec.process->user.gid = one.uid;
  spec.process->capabilities.emplace();
  spec.process->capabilities->bounding = {"CAP_KILL"};
  bench.create(std::move(spec));
  REQUIRE((bench.error ? bench.error->what() : std::string("created")) == "created");
  bench.start();
  REQUIRE((bench.error ? bench.error->what() : std::string("started")) == "started");
  CHECK(bench.finish() == "ran\n");
  CHECK(bench.container->first().status() == 5);
}

}  // namespace

TEST_CASE("container: a profile that is enough for runc is enough for the agent", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  for (const char* profile : {"minimal", "docker-20.10", "podman-4.3"}) {
    for (const bool no_new_privileges : {false, true}) {
      for (const unsigned uid : {0u, 1000u}) check_runs({profile, no_new_privileges, uid});
    }
  }
}

TEST_CASE("container: a profile is in force whenever it was loaded", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  for (const bool no_new_privileges : {false, true}) {
    Bench bench;
    husk::oci::Spec spec = bench.spec("kill -0 $$ || echo refused");
    spec.linux_.seccomp = load_profile("minimal");
    spec.process->no_new_privileges = no_new_privileges;
    bench.create(std::move(spec));
    REQUIRE_FALSE(bench.error);
    bench.start();
    CHECK(bench.finish() == "refused\n");
  }
}
