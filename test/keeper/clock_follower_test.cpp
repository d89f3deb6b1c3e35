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
  std::size_t noted = 0;
  void note() const { static_cast<void>(::write(journal.write_end.get(), "w", 1)); }
  std::size_t count() {
    for (pollfd ready{journal.read_end.get(), POLLIN, 0}; ::poll(&ready, 1, 0) == 1; ++noted) {
      char letter = 0;
      REQUIRE(::read(ready.fd, &letter, 1) == 1);
    }
    return noted;
  }
  /// Whether that many pieces of work are done within 20 s, a machine's worst.
  bool await(ClockFollower& follower, std::size_t wanted) {
    for (int turn = 0; turn < 1000 && count() < wanted; ++turn) run_for(follower, 20ms);
    return count() == wanted;
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

// One test, since all followers on this machine hear of a clock that is set.
TEST_CASE("ClockFollower: a host whose clock is set has the guest's corrected at once",
          "[keeper]") {
  ClockBench bench;
  SECTION("at first it does nothing, and nothing ever without work") {
    ClockFollower follower([&] { bench.note(); });
    CHECK(follower.patience() > 10s);
    CHECK(follower.patience() <= ClockFollower::first);
    run_for(follower, 50ms);
    CHECK(bench.count() == 0);
    ClockFollower idle({});
    std::vector<int> watched;
    idle.add_to(watched);
    CHECK(watched.empty());
    CHECK(idle.patience() < 0ms);
    idle.handle();
  }
  SECTION("each time") {
    ClockFollower follower([&] { bench.note(); });
    if (!set_host_clock()) SKIP("the clock may not be set here");
    CHECK(bench.await(follower, 1));
    run_for(follower, 100ms);
    CHECK(follower.patience() > ClockFollower::first);  // the usual interval
    REQUIRE(set_host_clock());
    CHECK(bench.await(follower, 2));
  }
  SECTION("after the work during which it was set") {
    const Pipe go = make_pipe();
    ClockFollower follower([&] {
      char letter = 0;
      if (::read(go.read_end.get(), &letter, 1) == 1) bench.note();
    });
    if (!set_host_clock()) SKIP("the clock may not be set here");
    run_for(follower, 50ms);
    REQUIRE(set_host_clock());
    run_for(follower, 50ms);
    REQUIRE(::write(go.write_end.get(), "12", 2) == 2);
    CHECK(bench.await(follower, 2));
  }
  SECTION("sooner again, if the work fails") {
    ClockFollower follower([&] {
      bench.note();
      throw std::runtime_error("no answer");
    });
    if (!set_host_clock()) SKIP("the clock may not be set here");
    CHECK(bench.await(follower, 1));
    for (int turn = 0; turn < 500 && follower.patience() > ClockFollower::after_failure; ++turn)
      run_for(follower, 20ms);
    CHECK(follower.patience() <= ClockFollower::after_failure);
  }
}
