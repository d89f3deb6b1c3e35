// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/forwarded_connection.hpp"

#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <thread>

#include "lib/base/descriptors.hpp"
#include "lib/base/files.hpp"

using namespace husk;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

/// A connection that is carried; this end is the client's, and the other two the guest's.
struct Carried {
  SocketPair client = make_socket_pair(), to_guest = make_socket_pair(),
             from_guest = make_socket_pair();
  Clock::time_point start = Clock::now(), end = {};
  std::thread carrier;
  explicit Carried(std::chrono::milliseconds limit) {
    carrier = std::thread([this, limit] {
      runtime::carry_both_ways(std::move(client.other), std::move(to_guest.other),
                               std::move(from_guest.other), limit);
      end = Clock::now();
    });
  }
  Clock::duration lasted() {
    carrier.join();
    return end - start;
  }
};

std::string read_some(const UniqueFd& socket) {
  std::array<char, 100> buffer{};
  const ssize_t count = ::read(socket.get(), buffer.data(), buffer.size());
  return {buffer.data(), static_cast<std::size_t>(count < 0 ? 0 : count)};
}

}  // namespace

TEST_CASE("forwarded connection: one that stands still ends", "[runtime]") {
  Carried carried(300ms);
  CHECK(carried.lasted() >= 300ms);
  CHECK(read_some(carried.client.own).empty());
  CHECK(read_some(carried.to_guest.own).empty());
}

TEST_CASE("forwarded connection: a byte in one direction keeps both", "[runtime]") {
  Carried carried(500ms);
  for (int n = 0; n < 8; ++n) {
    std::this_thread::sleep_for(150ms);
    write_all(carried.from_guest.own.get(), "x");
    CHECK(read_some(carried.client.own) == "x");
  }
  write_all(carried.client.own.get(), "y");
  CHECK(read_some(carried.to_guest.own) == "y");
  carried.from_guest.own.reset();
  carried.client.own.reset();
  CHECK(carried.lasted() >= 1200ms);
}
