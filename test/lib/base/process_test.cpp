// SPDX-License-Identifier: Apache-2.0
#include "lib/base/process.hpp"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <thread>

using namespace husk;
using namespace std::chrono_literals;

TEST_CASE("identify_process: itself, and nobody for pids that are none", "[base]") {
  const auto self = identify_process(::getpid());
  REQUIRE(self);
  CHECK(self->pid == ::getpid());
  CHECK(self->start_time > 0);
  CHECK(is_alive(*self));
  CHECK_FALSE(identify_process(0));
  CHECK_FALSE(identify_process(-1));
  CHECK_FALSE(identify_process(1 << 30));
}

TEST_CASE("is_alive: another process with the same pid is not the same one", "[base]") {
  ProcessIdentity other = identify_process(::getpid()).value();
  ++other.start_time;
  CHECK_FALSE(is_alive(other));
}

TEST_CASE("is_alive: a zombie is gone", "[base]") {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const auto process = identify_process(child);
  REQUIRE(process);
  ::kill(child, SIGKILL);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);  // dead, and not reaped
  CHECK_FALSE(is_alive(*process));
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("is_ending: one whose threads are all in exit, and one that is gone", "[base]") {
  CHECK_FALSE(is_ending(::getpid()));
  CHECK(is_ending(0));
  CHECK(is_ending(-1));
  CHECK(is_ending(1 << 30));
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  CHECK_FALSE(is_ending(child));
  ::kill(child, SIGKILL);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);  // dead, and not reaped
  CHECK(is_ending(child));
  ::waitpid(child, nullptr, 0);
  CHECK(is_ending(child));
}

TEST_CASE("is_ending: a process goes on when its first thread alone has ended", "[base]") {
  const pid_t child = ::fork();
  if (child == 0) {
    std::thread([] { ::pause(); }).detach();
    ::syscall(SYS_exit, 0);  // of the first thread
  }
  // Its first thread is a zombie then.
  for (int i = 0; i < 500 && identify_process(child); ++i) std::this_thread::sleep_for(10ms);
  CHECK_FALSE(identify_process(child));
  CHECK_FALSE(is_ending(child));
  ::kill(child, SIGKILL);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  CHECK(is_ending(child));
  ::waitpid(child, nullptr, 0);
}
