// SPDX-License-Identifier: Apache-2.0
// What the agent does for a container's files when that is started, and the host does not answer.
#include <signal.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <string>

#include "test/agent/container_bench.hpp"

using namespace husk::agent;
using husk::test::Bench;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// Files of a host that never answers.
struct Silent : Bench {
  Silent() {
    forget_files = [](pid_t) {
      for (;;) ::pause();
    };
    create(spec("echo it runs"));
    REQUIRE_FALSE(error);
  }
  void order_start() {
    container->start({}, [this](const Outcome& outcome) {
      started = true;
      take_error(outcome);
    });
  }
};

/// Not one that has ended and is still to be reaped.
bool runs(pid_t pid) {
  std::ifstream command("/proc/" + std::to_string(pid) + "/cmdline");
  return command.get() != std::ifstream::traits_type::eof();
}

}  // namespace

TEST_CASE("start: files of a host that does not answer stop neither the agent nor the container",
          "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Silent bench;
  const auto begin = EventLoop::Clock::now();
  bench.order_start();
  bool has_turned = false;
  bench.loop.after(1ms, [&] { has_turned = true; });
  bench.loop.run_once(500ms);
  CHECK(has_turned);
  CHECK_FALSE(bench.started);
  CHECK_THROWS_WITH(bench.container->start({}, [](const Outcome&) {}),
                    "cannot start an already running container");
  bench.run_until([&] { return bench.started; });
  CHECK_FALSE(bench.error);
  CHECK(EventLoop::Clock::now() - begin >= 900ms);
  CHECK(bench.finish() == "it runs\n");
}

TEST_CASE("start: who waits for it is answered when the container is killed meanwhile", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Silent bench;
  bench.order_start();
  bench.container->kill();
  bench.run_until([&] { return bench.started; });
  REQUIRE(bench.error);
  CHECK(std::string(bench.error->what()) == "cannot start a container that has stopped");
  bench.finish();
}

TEST_CASE("start: the files are asked for again with the agent's rights, before the program runs",
          "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  const fs::path seen = bench.rootfs / "seen";
  bench.forget_files = [seen](pid_t first) {
    husk::write_file_atomic(seen, std::to_string(first) + " " + std::to_string(::geteuid()), 0644);
  };
  husk::oci::Spec spec = bench.spec("/bin/busybox cat /seen");
  spec.process->user.uid = 1000;
  bench.create(std::move(spec));
  REQUIRE_FALSE(bench.error);
  const std::string expected = std::to_string(bench.container->first().pid()) + " 0";
  bench.container->start({}, [&](const Outcome& outcome) {
    bench.started = true;
    bench.take_error(outcome);
  });
  bench.run_until([&] { return bench.started; });
  REQUIRE_FALSE(bench.error);
  CHECK(bench.finish() == expected);
}

TEST_CASE("start: who looks at the files is there since the container was created", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  const fs::path seen = bench.rootfs / "seen";
  bench.forget_files = [seen](pid_t) {
    husk::write_file_atomic(seen, std::to_string(::getpid()), 0644);
  };
  bench.create(bench.spec("/bin/busybox cat /seen"));
  REQUIRE_FALSE(bench.error);
  const auto children = [] { return " " + husk::read_file("/proc/thread-self/children", 4096); };
  const std::string first = " " + std::to_string(bench.container->first().pid()) + " ";
  for (int i = 0; i < 5; ++i) bench.loop.run_once(1ms);
  CHECK_FALSE(fs::exists(seen));
  const std::string both = children();
  REQUIRE(both.find(first) != std::string::npos);
  const std::string helper = both.substr(both.find(first) + first.size());
  REQUIRE_FALSE(helper.empty());
  SECTION("and looks when the start is ordered") {
    bench.container->start({}, [&](const Outcome& outcome) {
      bench.started = true;
      bench.take_error(outcome);
    });
    bench.run_until([&] { return bench.started; });
    REQUIRE_FALSE(bench.error);
    CHECK(bench.finish() + " " == helper);
  }
  SECTION("and goes with a container that is not started") {
    bench.container->kill();
    bench.finish();
    for (int i = 0; i < 1000 && runs(std::stoi(helper)); ++i) ::usleep(1000);
    CHECK_FALSE(runs(std::stoi(helper)));
    CHECK_FALSE(fs::exists(seen));
  }
}
