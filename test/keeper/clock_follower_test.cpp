// SPDX-License-Identifier: Apache-2.0
#include "keeper/clock_follower.hpp"

#include <poll.h>
#include <sys/timex.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <stdexcept>

#include "lib/base/descriptors.hpp"

using namespace husk;
using namespace husk::keeper;
using namespace std::chrono_literals;

namespace {

/// Sets the clock by a nanosecond: the kernel tells of it as of any other step. False: it may not be set here.
bool set_host_clock() {
  timex change{};
  change.modes = ADJ_SETOFFSET | ADJ_NANO;
  change.time.tv_usec = 1;
  return ::adjtimex(&change) != -1;
}

/// As the keeper does, for a moment.
void run_for(ClockFollower& follower, std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
    std::vector<int> watched;
    follower.add_to(watched);
    std::vector<pollfd> polled;
    for (const int fd : watched) polled.push_back({fd, POLLIN, 0});
    ::poll(polled.data(), polled.size(), 20);
    follower.handle();
  }
}

/// A letter for each piece of work.
struct ClockBench {
  Pipe journal = make_pipe();
  void note() const { static_cast<void>(::write(journal.write_end.get(), "w", 1)); }
  std::size_t noted() const {
    std::size_t count = 0;
    for (pollfd ready{journal.read_end.get(), POLLIN, 0}; ::poll(&ready, 1, 0) == 1; ++count) {
      char letter = 0;
      REQUIRE(::read(ready.fd, &letter, 1) == 1);
    }
    return count;
  }
};

}  // namespace

TEST_CASE("ClockFollower: asks each minute, and sooner after a failure", "[keeper]") {
  CHECK(ClockFollower::interval_after(0) == 60s);
  CHECK(ClockFollower::interval_after(1) == 5s);
  CHECK(ClockFollower::interval_after(2) == 10s);
  CHECK(ClockFollower::interval_after(4) == 40s);
  CHECK(ClockFollower::interval_after(5) == 60s);
  CHECK(ClockFollower::interval_after(4'000'000'000) == 60s);
}

TEST_CASE("ClockFollower: does nothing at first, and nothing ever without work", "[keeper]") {
  const ClockBench bench;
  ClockFollower follower([&] { bench.note(); });
  CHECK(follower.patience() > 10s);
  CHECK(follower.patience() <= ClockFollower::first);
  run_for(follower, 50ms);
  CHECK(bench.noted() == 0);
  ClockFollower idle({});
  std::vector<int> watched;
  idle.add_to(watched);
  CHECK(watched.empty());
  CHECK(idle.patience() < 0ms);
  idle.handle();
}

TEST_CASE("ClockFollower: a host whose clock is set has the guest's corrected at once",
          "[keeper]") {
  const ClockBench bench;
  ClockFollower follower([&] { bench.note(); });
  if (!set_host_clock()) SKIP("the clock may not be set here");
  run_for(follower, 300ms);
  CHECK(bench.noted() == 1);
  CHECK(follower.patience() > ClockFollower::first);  // the usual interval
  REQUIRE(set_host_clock());
  run_for(follower, 300ms);
  CHECK(bench.noted() == 1);
}

TEST_CASE("ClockFollower: a clock that is set during the work is followed after it", "[keeper]") {
  const ClockBench bench;
  ClockFollower follower([&] {
    ::poll(nullptr, 0, 200);
    bench.note();
  });
  if (!set_host_clock()) SKIP("the clock may not be set here");
  run_for(follower, 50ms);
  REQUIRE(set_host_clock());
  run_for(follower, 100ms);
  CHECK(bench.noted() == 0);  // one at a time
  run_for(follower, 700ms);
  CHECK(bench.noted() == 2);
}

TEST_CASE("ClockFollower: work that fails is repeated sooner", "[keeper]") {
  ClockFollower follower([] { throw std::runtime_error("no answer"); });
  if (!set_host_clock()) SKIP("the clock may not be set here");
  run_for(follower, 300ms);
  CHECK(follower.patience() > 2s);
  CHECK(follower.patience() <= ClockFollower::after_failure);
}
