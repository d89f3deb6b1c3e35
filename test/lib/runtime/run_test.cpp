// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <fstream>
#include <thread>

#include "lib/base/error.hpp"
#include "test/lib/runtime/husk_bench.hpp"

using namespace husk;
using namespace husk::test;
using Catch::Matchers::ContainsSubstring;

namespace {

using Lines = std::vector<std::string>;

/// `husk run` in a process of its own, in the foreground; what it throws is in the bench's "error".
class Running {
 public:
  explicit Running(HuskBench& bench, bool keep = false) {
    runtime::CreateRequest request = bench.request();
    request.streams.detached = false;
    pid_ = check_sys(::fork(), "fork husk run");
    if (pid_ == 0) run(bench, request, keep);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void send(int signal) const { ::kill(pid_, signal); }
  /// The exit status, or 1000 and the signal that ended husk.
  int wait() {
    int status = 0;
    REQUIRE(::waitpid(pid_, &status, 0) == pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  [[noreturn]] static void run(HuskBench& bench, const runtime::CreateRequest& request, bool keep) {
    try {
      ::_exit(bench.runtime().run(request, keep));
    } catch (const std::exception& e) {
      std::ofstream(bench.path("error")) << e.what() << std::flush;
    }
    ::_exit(99);
  }
  pid_t pid_ = -1;
};

/// Later than the guest's start: until then a signal is for husk itself.
bool await_running(HuskBench& bench) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    try {
      if (bench.runtime().state("c1").status == "running") return true;
    } catch (const Error&) {
      // not made yet
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

}  // namespace

TEST_CASE("run: signals are passed on, the status is the container's, and nothing stays",
          "[runtime][root]") {
  HuskBench bench;
  Running run(bench);
  REQUIRE(await_running(bench));
  run.send(SIGUSR1);
  CHECK(bench.await_journal("signal 10"));
  run.send(SIGHUP);
  CHECK(bench.await_journal("signal 1"));
  CHECK(bench.runtime().state("c1").status == "running");
  run.send(SIGTERM);
  CHECK(run.wait() == 128 + SIGTERM);
  CHECK(bench.text_in("error").empty());
  CHECK(bench.left() == Lines{});
}

TEST_CASE("run: the status is the container's although it cannot be deleted", "[runtime][root]") {
  HuskBench bench;
  Running run(bench);
  REQUIRE(await_running(bench));
  const auto foreign = bench.path("root") / "c1" / "foreign";  // delete refuses to touch it
  std::ofstream(foreign) << "x" << std::flush;
  run.send(SIGTERM);
  CHECK(run.wait() == 128 + SIGTERM);
  CHECK(bench.text_in("error").empty());
  CHECK(std::filesystem::remove(foreign));
  bench.runtime().remove("c1", true);
  CHECK(bench.left() == Lines{});
}

TEST_CASE("run: with keep the container stays, stopped, until it is deleted", "[runtime][root]") {
  HuskBench bench;
  Running run(bench, true);
  REQUIRE(await_running(bench));
  run.send(SIGTERM);
  CHECK(run.wait() == 128 + SIGTERM);
  CHECK(bench.runtime().state("c1").status == "stopped");
  bench.runtime().remove("c1", false);
  CHECK(bench.left() == Lines{});
}

TEST_CASE("run: a container that cannot be started is told, and deleted", "[runtime][root]") {
  HuskBench bench;
  bench.machine.fault = Fault::refuses_start;
  Running run(bench);
  CHECK(run.wait() == 99);
  CHECK_THAT(bench.text_in("error"), ContainsSubstring("permission denied by the image"));
  CHECK(bench.left() == Lines{});
}

TEST_CASE("run: the container ends with a husk that is killed", "[runtime][root]") {
  HuskBench bench;
  Running run(bench);
  REQUIRE(bench.await_journal("start"));
  run.send(SIGKILL);
  CHECK(run.wait() == 1000 + SIGKILL);
  const auto status = [&] { return bench.runtime().state("c1").status; };
  for (int attempt = 0; status() != "stopped" && attempt < 2000; ++attempt) ::usleep(10000);
  CHECK(status() == "stopped");
  bench.runtime().remove("c1", true);
  CHECK(bench.left() == Lines{});
}
