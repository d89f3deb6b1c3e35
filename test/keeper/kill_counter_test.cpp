// SPDX-License-Identifier: Apache-2.0
#include "keeper/kill_counter.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <stdexcept>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::keeper;

namespace {

UniqueFd kill_socket() {
  UniqueFd socket{check_sys(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
  const sockaddr_un any{.sun_family = AF_UNIX, .sun_path = {}};
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any.sun_family) ==
          0);
  return socket;
}

constexpr std::chrono::steady_clock::time_point a_time{std::chrono::hours{1}};

/// A keeper's end, and shims that connect to it.
struct Kills {
  Kills() { REQUIRE(::getsockname(own.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0); }
  UniqueFd shim() const {
    UniqueFd socket = kill_socket();
    REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
    return socket;
  }
  UniqueFd own = kill_socket();
  sockaddr_un address{};
  socklen_t size = sizeof address;
};

void tell(const UniqueFd& shim, const std::string& container) {
  REQUIRE(::send(shim.get(), container.data(), container.size(), MSG_DONTWAIT) >= 0);
}

bool is_answered(const UniqueFd& shim) {
  char byte = 0;
  return ::recv(shim.get(), &byte, 1, MSG_DONTWAIT) == 1;
}

/// Turns as the keeper's, until `done`.
template <typename Done>
bool turn_until(KillCounter& counter, const Done& done) {
  const Deadline deadline(std::chrono::seconds{10});
  while (!done()) {
    if (deadline.passed()) return false;
    std::vector<int> watched;
    counter.add_to(watched);
    std::vector<pollfd> polled;
    for (const int fd : watched) polled.push_back({fd, POLLIN, 0});
    const auto patience = static_cast<int>(counter.patience().count());
    ::poll(polled.data(), polled.size(), patience < 0 ? 20 : patience);
    counter.handle();
  }
  return true;
}

/// In the child: one line for each kill.
OnKill note_in(const test::Scratch& scratch) {
  return [path = scratch.path() / "kills"](const std::string& container) {
    std::ofstream(path, std::ios::app) << container << "\n";
  };
}
std::string noted(const test::Scratch& scratch) {
  const auto path = scratch.path() / "kills";
  return std::filesystem::exists(path) ? read_file(path, 4096) : "";
}

}  // namespace

TEST_CASE("KillCounter: each kill is counted, and who told is answered then", "[keeper]") {
  const test::Scratch scratch;
  Kills kills;
  const UniqueFd one = kills.shim(), other = kills.shim();
  KillCounter counter(std::move(kills.own), note_in(scratch));
  CHECK(counter.patience() < std::chrono::milliseconds{0});
  tell(one, "c1");
  tell(other, "c2");
  CHECK(turn_until(counter, [&] { return is_answered(one); }));
  CHECK(noted(scratch).starts_with("c1\n"));  // the other may have been counted by now
  CHECK_FALSE(is_answered(other));
  CHECK(turn_until(counter, [&] { return is_answered(other); }));
  CHECK(noted(scratch) == "c1\nc2\n");
}

TEST_CASE("KillCounter: a count that fails is answered as well, and the next one follows",
          "[keeper]") {
  const test::Scratch scratch;
  Kills kills;
  const UniqueFd shim = kills.shim();
  KillCounter counter(std::move(kills.own), [&](const std::string& container) {
    if (container == "gone") throw Error(Errc::not_found, "VM 1 has no such container");
    note_in(scratch)(container);
  });
  tell(shim, "gone");
  CHECK(turn_until(counter, [&] { return is_answered(shim); }));
  tell(shim, "c1");
  CHECK(turn_until(counter, [&] { return is_answered(shim); }));
  CHECK(noted(scratch) == "c1\n");
}

TEST_CASE("KillCounter: what is no argument of a program is left out, and so is a shim that went",
          "[keeper]") {
  const test::Scratch scratch;
  Kills kills;
  const UniqueFd shim = kills.shim();
  UniqueFd gone = kills.shim();
  KillCounter counter(std::move(kills.own), note_in(scratch));
  tell(shim, std::string("c\0x", 3));
  tell(shim, std::string(2 * KillCounter::max_id_bytes, 'x'));
  tell(gone, "c2");
  gone.reset();
  tell(shim, "c1");
  CHECK(turn_until(counter, [&] { return is_answered(shim); }));
  tell(shim, "c3");
  CHECK(turn_until(counter, [&] { return noted(scratch).ends_with("c3\n"); }));
  CHECK(noted(scratch) == std::string(KillCounter::max_id_bytes, 'x') + "\nc2\nc1\nc3\n");
}

TEST_CASE("KillCounter: of a flood the first is counted, and the others answered", "[keeper]") {
  const test::Scratch scratch;
  Kills kills;
  const UniqueFd shim = kills.shim(), other = kills.shim();
  // No interval passes, however slow the test is.
  KillCounter counter(std::move(kills.own), note_in(scratch), [] { return a_time; });
  std::size_t told = 0;
  while (::send(shim.get(), "c1", 2, MSG_DONTWAIT) == 2 && told < 10 * KillCounter::max_waiting)
    ++told;
  CHECK(turn_until(counter, [&] { return noted(scratch) == "c1\n"; }));
  // Another container is not made to wait by that.
  CHECK(turn_until(counter, [&] { return ::send(other.get(), "c2", 2, MSG_DONTWAIT) == 2; }));
  CHECK(turn_until(counter, [&] { return is_answered(other); }));
  CHECK(noted(scratch) == "c1\nc2\n");
  CHECK(is_answered(shim));
}

TEST_CASE("KillCounter: a later kill is counted after the interval", "[keeper]") {
  const test::Scratch scratch;
  Kills kills;
  const UniqueFd shim = kills.shim();
  auto now = a_time;
  KillCounter counter(std::move(kills.own), note_in(scratch), [&] { return now; });
  const auto count = [&] {
    tell(shim, "c1");
    CHECK(turn_until(counter, [&] { return is_answered(shim); }));
    return noted(scratch);
  };
  CHECK(count() == "c1\n");
  now += KillCounter::first_interval;
  CHECK(count() == "c1\nc1\n");
  now += KillCounter::first_interval;  // twice as long is needed now
  CHECK(count() == "c1\nc1\n");
  now += KillCounter::first_interval;
  CHECK(count() == "c1\nc1\nc1\n");
}
