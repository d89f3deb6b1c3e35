// SPDX-License-Identifier: Apache-2.0
#include "agent/event_loop.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

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
