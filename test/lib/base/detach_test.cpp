// SPDX-License-Identifier: Apache-2.0
// More of what a detached process leaves behind: subprocess_test.cpp.
#include "lib/base/detach.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <filesystem>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/process.hpp"
#include "test/lib/base/child.hpp"

using namespace husk;
using test::expect;

TEST_CASE("fork_orphan: the process is nobody's child here, and runs once", "[base]") {
  CHECK(test::thrown_in_child([] {
          Pipe pipe = make_pipe();
          const pid_t maker = ::getpid();
          fork_orphan([&] {
            write_all(pipe.write_end.get(), ::getpid() != maker ? "one" : "the maker itself");
          });
          pipe.write_end.reset();
          expect(::waitpid(-1, nullptr, 0) < 0 && errno == ECHILD, "it left a child");
          const std::string said = read_all(pipe.read_end.get(), 100, "pipe");
          expect(said == "one", said);
        }) == "");
}

TEST_CASE("fork_orphan: what it throws ends it, and nobody else", "[base]") {
  CHECK(test::thrown_in_child([] {
          Pipe pipe = make_pipe();
          fork_orphan([&] {
            write_all(pipe.write_end.get(), "begun");
            throw Error(Errc::internal, "an orphan's own");
          });
          pipe.write_end.reset();  // the end of file below is the orphan's end
          const std::string said = read_all(pipe.read_end.get(), 100, "pipe");
          expect(said == "begun", said);
        }) == "");
}

TEST_CASE("detach: no signal stays blocked, no log and no score of the caller's", "[base]") {
  CHECK(test::thrown_in_child([] {
          int logged = 0;
          set_log_sink([&](LogLevel, std::string_view) { ++logged; });
          log(LogLevel::warning, "before");
          write_existing("/proc/self/oom_score_adj", "777");
          sigset_t all;
          ::sigfillset(&all);
          ::sigprocmask(SIG_SETMASK, &all, nullptr);
          const Pipe kept = make_pipe();
          const auto cgroup = read_file("/proc/self/cgroup", 4096);
          // The error's text has to get out.
          detach_process({kept.write_end.get(), 3, 4, 5, 6, 7, 8, 9}, DetachedCgroups::unchanged);
          log(LogLevel::warning, "after");
          expect(logged == 1, "logged " + std::to_string(logged) + " times");
          sigset_t blocked;
          ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
          for (int signal = 1; signal < NSIG; ++signal)
            expect(::sigismember(&blocked, signal) != 1, "blocked: " + std::to_string(signal));
          expect(read_file("/proc/self/oom_score_adj", 16) == "0\n", "an OOM score");
          expect(read_file("/proc/self/cgroup", 4096) == cgroup, "another cgroup");
          expect(::write(kept.write_end.get(), "x", 1) == 1, "what it is to keep was closed");
        }) == "");
}
