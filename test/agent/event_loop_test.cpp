// SPDX-License-Identifier: Apache-2.0
#include "agent/loop/event_loop.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <stdexcept>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"

using namespace husk::agent;
using husk::UniqueFd;
using namespace std::chrono_literals;

namespace {

/// A pipe that can be read from the start.
struct ReadyPipe {
  UniqueFd read_end, write_end;
  ReadyPipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
    husk::write_all(write_end.get(), "x");
  }
};

}  // namespace

TEST_CASE("event loop: a descriptor is watched for as long as its watch lives") {
  EventLoop loop;
  const ReadyPipe pipe;
  int calls = 0;
  {
    EventLoop::Watch watch = loop.watch(pipe.read_end.get(), EPOLLIN, [&](auto) { ++calls; });
    const EventLoop::Watch moved = std::move(watch);
    loop.run_once(0ms);
    CHECK(calls == 1);
  }
  loop.run_once(0ms);
  CHECK(calls == 1);
}

TEST_CASE("event loop: watching again replaces, and the end of the old watch changes nothing") {
  EventLoop loop;
  const ReadyPipe pipe;
  int first = 0, second = 0;
  EventLoop::Watch watch = loop.watch(pipe.read_end.get(), EPOLLIN, [&](auto) { ++first; });
  watch = loop.watch(pipe.read_end.get(), EPOLLIN, [&](auto) { ++second; });
  loop.run_once(0ms);
  CHECK(first == 0);
  CHECK(second == 1);
}

TEST_CASE("event loop: a callback may end its own watch") {
  EventLoop loop;
  const ReadyPipe pipe;
  int calls = 0;
  EventLoop::Watch watch;
  watch = loop.watch(pipe.read_end.get(), EPOLLIN, [&, kept = std::string(100, 'k')](auto) {
    watch.reset();
    calls += kept == std::string(100, 'k') ? 1 : 1000;  // it was not freed under its feet
  });
  loop.run_once(0ms);
  loop.run_once(0ms);
  CHECK(calls == 1);
}

TEST_CASE("event loop: a callback that throws is logged, rests, and goes on being watched") {
  std::string logged;
  husk::set_log_sink([&](husk::LogLevel level, std::string_view text) {
    if (level == husk::LogLevel::error) logged += std::string(text) + "\n";
  });
  EventLoop loop;
  const ReadyPipe bad, good;
  int thrown = 0, served = 0;
  const EventLoop::Watch bad_watch = loop.watch(bad.read_end.get(), EPOLLIN, [&](auto) {
    ++thrown;
    throw husk::Error(husk::Errc::internal, "this one");
  });
  const EventLoop::Watch good_watch =
      loop.watch(good.read_end.get(), EPOLLIN, [&](auto) { ++served; });
  for (int i = 0; i < 4; ++i) CHECK_NOTHROW(loop.run_once(0ms));
  CHECK(thrown == 1);
  CHECK(served == 3);
  CHECK(logged == "event loop: this one\n");
  const auto end = EventLoop::Clock::now() + 3 * EventLoop::rest_after_failure;
  while (EventLoop::Clock::now() < end) loop.run_once(10ms);
  husk::set_log_sink(nullptr);
  CHECK(thrown >= 2);
  CHECK(thrown <= 4);
}

TEST_CASE("event loop: the owner of what threw may close it, or watch it anew") {
  EventLoop loop;
  const ReadyPipe pipe;
  int failures = 0, calls = 0;
  EventLoop::Watch watch;
  watch = loop.watch(
      pipe.read_end.get(), EPOLLIN, [](auto) { throw std::runtime_error("no"); },
      [&] {
        ++failures;
        watch.reset();
      });
  loop.run_once(0ms);
  CHECK(failures == 1);
  watch = loop.watch(
      pipe.read_end.get(), EPOLLIN, [](auto) { throw std::runtime_error("no"); },
      [&] { watch = loop.watch(pipe.read_end.get(), EPOLLIN, [&](auto) { ++calls; }); });
  loop.run_once(0ms);
  loop.run_once(0ms);
  CHECK(calls == 1);
}

TEST_CASE("event loop: a timer that throws keeps no other from its turn") {
  EventLoop loop;
  bool fired = false;
  loop.after(0ms, [] { throw std::runtime_error("no"); });
  loop.after(0ms, [&] { fired = true; });
  CHECK_NOTHROW(loop.run_once(0ms));
  CHECK(fired);
}
