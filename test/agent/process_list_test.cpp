// SPDX-License-Identifier: Apache-2.0
#include "agent/process_list.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using Catch::Matchers::ContainsSubstring;
using husk::agent::describe_processes;

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
