// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/clock_follow.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <string>

#include "lib/base/error.hpp"
#include "test/lib/guestcomm/link/fake_guest.hpp"

using namespace husk;
using namespace husk::guestcomm;
using namespace std::chrono_literals;
using husk::test::FakeGuest;

namespace {

/// What correct_guest_clock throws; "" if nothing.
std::string failure_with(const FakeGuest& guest, std::chrono::milliseconds patience) {
  AgentClient agent(guest.access(), 5s);
  try {
    correct_guest_clock(agent, patience);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("clock: the reading with the shortest round trip counts", "[guestcomm]") {
  const std::array readings{ClockReading{1'000'000, 900, 1'005'000},
                            ClockReading{2'000'000, 100, 2'000'060},
                            ClockReading{3'000'000, 101, 2'900'000}};
  CHECK(difference_in(readings) == ClockDifference{.ahead_us = 10, .uncertainty_us = 50});
  CHECK(difference_in(std::span(readings).subspan(2)) ==
        ClockDifference{.ahead_us = -100'050, .uncertainty_us = 50});
  CHECK_THROWS_AS(difference_in({}), Error);
}

TEST_CASE("clock: an older agent is asked nothing", "[guestcomm]") {
  const FakeGuest guest([](int connection, std::int64_t) { test::await_close(connection); },
                        Hello{.protocols = {3, clock_protocol - 1}, .version = "", .secret = ""});
  AgentClient agent(guest.access(), 5s);
  CHECK_FALSE(correct_guest_clock(agent, 5s));
}

TEST_CASE("clock: a guest that tells an impossible time is refused", "[guestcomm]") {
  for (const std::int64_t time :
       {std::int64_t{-1}, max_wall_clock_us + 1, std::numeric_limits<std::int64_t>::max()}) {
    CAPTURE(time);
    const FakeGuest guest([time](int connection, std::int64_t request) {
      write_frame(connection, encode(Response{request, nlohmann::json{{"now_us", time}}}));
    });
    CHECK(failure_with(guest, 5s) ==
          "guest agent: read_clock: malformed message: now_us is out of range");
  }
}

TEST_CASE("clock: a guest that does not answer costs the patience and no more", "[guestcomm]") {
  const FakeGuest guest([](int connection, std::int64_t) { test::await_close(connection); });
  const auto begin = std::chrono::steady_clock::now();
  CHECK_FALSE(failure_with(guest, 200ms).empty());
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
}
