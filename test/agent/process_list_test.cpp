// SPDX-License-Identifier: Apache-2.0
#include "agent/container/process_list.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <optional>

#include "test/agent/silent_fuse.hpp"
#include "test/lib/base/scratch.hpp"

using Catch::Matchers::ContainsSubstring;
using namespace std::chrono_literals;

namespace {

husk::guestcomm::ProcessList describe_processes(const std::vector<pid_t>& pids) {
  husk::agent::EventLoop loop;
  std::optional<husk::guestcomm::ProcessList> list;
  husk::agent::describe_processes(loop, pids, [&](const auto& described) { list = described; });
  CHECK_FALSE(list);  // nothing of it waits
  for (int i = 0; i < 500 && !list; ++i) loop.run_once(10ms);
  REQUIRE(list);
  return *list;
}

}  // namespace

TEST_CASE("process list: says what /proc says, of parents that are in it too") {
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  const pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  ::waitpid(gone, nullptr, 0);
  const auto list = describe_processes({::getpid(), child, gone});
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK_FALSE(list.is_cut);
  REQUIRE(list.processes.size() == 2);
  const auto& first = list.processes[0].pid == ::getpid() ? list.processes[0] : list.processes[1];
  const auto& second = list.processes[0].pid == ::getpid() ? list.processes[1] : list.processes[0];
  CHECK(first.pid == ::getpid());
  CHECK(first.parent == 0);
  CHECK(first.uid == ::getuid());
  CHECK_THAT(first.command, ContainsSubstring("test_agent"));
  CHECK(second.pid == child);
  CHECK(second.parent == ::getpid());
}

TEST_CASE("process list: a command line that never answers stops neither the agent nor the list",
          "[root]") {
  if (::geteuid() != 0) SKIP("needs root");
  if (::access("/dev/fuse", R_OK | W_OK) != 0) SKIP("needs /dev/fuse");
  const husk::test::Scratch scratch;
  const std::string file = (scratch.path() / "file").string();
  std::ofstream{file} << "";
  const husk::test::SilentProcess silent(file);
  const auto begin = husk::agent::EventLoop::Clock::now();
  const auto list = describe_processes({::getpid(), silent.pid()});
  CHECK(husk::agent::EventLoop::Clock::now() - begin > 500ms);  // the test can fail
  REQUIRE(list.processes.size() == 2);
  for (const auto& process : list.processes) {
    CAPTURE(process.command);
    if (process.pid == ::getpid())
      CHECK_THAT(process.command, ContainsSubstring("test_agent") && !ContainsSubstring("["));
    else
      CHECK(process.command == "[test_agent]");
  }
}
