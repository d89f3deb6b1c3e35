// SPDX-License-Identifier: Apache-2.0
#include "agent/loop/helper_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <sstream>
#include <string>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

using namespace husk::agent;
using namespace std::chrono_literals;

namespace {

/// The child that was made last.
pid_t last_child() {
  std::istringstream children(husk::read_file("/proc/thread-self/children", 4096));
  pid_t last = -1;
  for (pid_t child = 0; children >> child;) last = child;
  return last;
}

struct Helped {
  EventLoop loop;
  int calls = 0;
  std::string said;
  bool is_finished = false;

  HelperProcess::Done done() {
    return [this](const std::string& text, bool finished) {
      ++calls;
      said = text;
      is_finished = finished;
    };
  }
  void run(std::chrono::milliseconds patience, const HelperProcess::Work& work) {
    HelperProcess::run(loop, patience, work, done());
    for (int i = 0; i < 2000 && calls == 0; ++i) loop.run_once(10ms);
    REQUIRE(calls == 1);
    CHECK(::waitpid(-1, nullptr, 0) > 0);  // it is gone, or this would wait
  }
};

}  // namespace

TEST_CASE("helper process: what it says is told when it has ended") {
  Helped helped;
  helped.run(5s, [](int said) { husk::write_all(said, std::string(100'000, 'x')); });
  CHECK(helped.is_finished);
  CHECK(helped.said == std::string(100'000, 'x'));
}

TEST_CASE("helper process: one that was made ahead does nothing before it is told to") {
  Helped helped;
  std::optional<HelperProcess> owned;
  owned.emplace(helped.loop, [](int said) { husk::write_all(said, std::to_string(::getpid())); });
  for (int i = 0; i < 10; ++i) helped.loop.run_once(1ms);
  CHECK(helped.calls == 0);
  const auto begin = EventLoop::Clock::now();
  SECTION("its time begins with the order") {
    ::usleep(20'000);
    owned->begin(5s, helped.done());
    for (int i = 0; i < 2000 && helped.calls == 0; ++i) helped.loop.run_once(10ms);
    CHECK(helped.is_finished);
    const pid_t child = std::stoi(helped.said);
    CHECK(::waitpid(child, nullptr, 0) == child);
  }
  SECTION("one that was killed meanwhile costs no time") {
    const auto former = ::signal(SIGPIPE, SIG_IGN);  // as in the agent
    const pid_t child = last_child();
    ::kill(child, SIGKILL);
    CHECK(::waitpid(child, nullptr, 0) == child);
    owned->begin(5s, helped.done());
    for (int i = 0; i < 2000 && helped.calls == 0; ++i) helped.loop.run_once(10ms);
    CHECK(helped.calls == 1);
    CHECK(helped.said.empty());
    ::signal(SIGPIPE, former);
  }
  CHECK(EventLoop::Clock::now() - begin < 4s);
}

TEST_CASE("helper process: one that never returns is killed, and what it said until then is told") {
  Helped helped;
  const auto begin = EventLoop::Clock::now();
  helped.run(100ms, [](int said) {
    husk::write_all(said, "first");
    for (;;) ::pause();
  });
  CHECK(EventLoop::Clock::now() - begin < 5s);
  CHECK_FALSE(helped.is_finished);
  CHECK(helped.said == "first");
}

TEST_CASE("helper process: what it says without an end is cut") {
  Helped helped;
  helped.run(20s, [](int said) {
    for (;;) husk::write_all(said, std::string(4096, 'x'));
  });
  CHECK_FALSE(helped.is_finished);
  CHECK(helped.said.size() <= HelperProcess::max_said_bytes + (32u << 10));
}

TEST_CASE("helper process: what it throws is not the agent's end") {
  Helped helped;
  helped.run(5s, [](int) { throw husk::Error(husk::Errc::internal, "no"); });
  CHECK(helped.said.empty());
}

TEST_CASE("helper process: it has no copy of a descriptor of the agent's") {
  Helped helped;
  const husk::Pipe held = husk::make_pipe();
  helped.run(5s, [fd = held.write_end.get()](int said) {
    husk::write_all(said, ::fcntl(fd, F_GETFD) < 0 ? "closed" : "open");
  });
  CHECK(helped.said == "closed");
}

TEST_CASE("helper process: it ends with its owner, and nobody is told") {
  Helped helped;
  {
    HelperProcess owned(helped.loop, [](int) {
      for (;;) ::pause();
    });
    SECTION("while it waits") {}
    SECTION("while it works") { owned.begin(1s, helped.done()); }
  }
  CHECK(::waitpid(-1, nullptr, 0) > 0);
  for (int i = 0; i < 3; ++i) helped.loop.run_once(1ms);
  CHECK(helped.calls == 0);
}
