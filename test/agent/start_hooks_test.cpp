// SPDX-License-Identifier: Apache-2.0
// startContainer hooks, in containers made for real by the agent's code.
#include <signal.h>

#include <catch2/catch_test_macros.hpp>

#include "agent/container/container.hpp"
#include "lib/base/files.hpp"
#include "test/agent/container_bench.hpp"

using husk::test::Bench;
namespace fs = std::filesystem;

namespace {

husk::oci::Hook hook(const std::string& script) {
  return {.path = "/bin/sh",
          .args = {"sh", "-c", script},
          .env = std::vector<std::string>{"A=b=c"},
          .timeout = 20};
}

}  // namespace

TEST_CASE(
    "container: startContainer hooks run in it, as its user, after start and before its program",
    "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  fs::create_directory(bench.rootfs / "seen");
  fs::permissions(bench.rootfs / "seen", fs::perms::all);
  husk::oci::Spec spec = bench.spec("echo program >> /seen/order; echo of the program");
  spec.process->user.uid = 1234;
  spec.process->env.emplace_back("OF_THE_PROCESS=1");
  spec.hooks.start_container = {
      hook("/bin/busybox cat > /seen/state; echo first >> /seen/order; echo noise; echo noise >&2"),
      hook("/bin/busybox id -u > /seen/uid; echo $A$OF_THE_PROCESS > /seen/env; echo second >> "
           "/seen/order")};
  bench.create(std::move(spec));
  REQUIRE_FALSE(bench.error);
  CHECK(fs::is_empty(bench.rootfs / "seen"));
  bench.start();
  REQUIRE_FALSE(bench.error);
  CHECK(bench.finish() == "of the program\n");
  const auto seen = [&](const char* name) {
    return husk::read_file(bench.rootfs / "seen" / name, 4096);
  };
  CHECK(seen("order") == "first\nsecond\nprogram\n");
  CHECK(seen("state") == R"({"id":"one","pid":1,"status":"created"})");
  CHECK(seen("uid") == "1234\n");
  CHECK(seen("env") == "b=c\n");
}

TEST_CASE("container: a startContainer hook that fails is named by start, and ends the container",
          "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  husk::oci::Spec spec = bench.spec("echo program > /ran");
  husk::oci::Hook failing = hook("");
  std::string text;
  SECTION("by its status") {
    failing = hook("printf 'why\\nnot\\033[31m'; exit 3");
    text = "startContainer hook #1 /bin/sh: exit status 3: why not [31m";
  }
  SECTION("with the last 512 bytes of what it prints") {
    failing = hook("printf '%050000d end' 0; exit 3");
    text = "startContainer hook #1 /bin/sh: exit status 3: " + std::string(508, '0') + " end";
  }
  SECTION("since the image does not have it") {
    failing.path = "/no/hook";
    text = "startContainer hook #1 /no/hook: start /no/hook: no such file or directory";
  }
  SECTION("by its time limit") {
    failing = hook("/bin/busybox sleep 1000");
    failing.timeout = 1;
    text = "startContainer hook #1 /bin/sh: /bin/sh did not end within 1000 ms";
  }
  spec.hooks.start_container = {hook("true"), failing, hook("echo third > /ran")};
  bench.create(std::move(spec));
  REQUIRE_FALSE(bench.error);
  bench.start();
  REQUIRE(bench.error);
  CHECK(bench.error->what() == text);
  CHECK(bench.error->code() == husk::Errc::system);
  CHECK(bench.finish().empty());
  CHECK(bench.container->first().status() == 127);
  CHECK_FALSE(fs::exists(bench.rootfs / "ran"));
  CHECK_FALSE(fs::exists(bench.cgroups / "one"));
}

TEST_CASE("container: start tells that its first process was killed in a startContainer hook",
          "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  husk::oci::Spec spec = bench.spec("echo program > /ran");
  spec.hooks.start_container = {hook("echo > /in-hook; exec /bin/busybox sleep 1000")};
  bench.create(std::move(spec));
  REQUIRE_FALSE(bench.error);
  bench.container->first().start([&](const husk::agent::Outcome& outcome) {
    bench.started = true;
    bench.take_error(outcome);
  });
  bench.run_until([&] { return fs::exists(bench.rootfs / "in-hook"); });
  CHECK_FALSE(bench.started);
  bench.container->kill();
  CHECK(bench.finish().empty());
  REQUIRE(bench.error);
  CHECK(std::string(bench.error->what()) ==
        "the process was killed before its program was started");
  CHECK(bench.container->first().status() == 128 + SIGKILL);
  CHECK_FALSE(fs::exists(bench.rootfs / "ran"));
}

TEST_CASE("container: a startContainer hook does not see into the agent's copy that runs it",
          "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  fs::create_directory(bench.rootfs / "proc");
  husk::oci::Spec spec = bench.spec("true");
  husk::oci::Mount proc;
  proc.destination = "/proc";
  proc.type = "proc";
  spec.mounts.push_back(proc);
  // Root, but without CAP_SYS_PTRACE.
  spec.hooks.start_container = {
      hook("/bin/busybox readlink /proc/self/exe && ! /bin/busybox readlink /proc/1/exe &&"
           " ! /bin/busybox cat /proc/1/maps")};
  bench.create(std::move(spec));
  bench.start();
  CHECK_FALSE(bench.error);
  bench.finish();
}

TEST_CASE("container: startContainer hooks are the first process's, not those of an exec",
          "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  husk::oci::Spec spec = bench.spec("/bin/busybox sleep 1000");
  husk::oci::Process process = *spec.process;
  process.args = {"/bin/busybox", "cat", "/order"};
  spec.hooks.start_container = {hook("echo hook >> /order")};
  bench.create(std::move(spec));
  bench.start();
  REQUIRE_FALSE(bench.error);
  bench.exec("x", process);
  bench.start("x");
  CHECK(bench.read_to_end() == "hook\n");
}
