// SPDX-License-Identifier: Apache-2.0
#include "keeper/change_follower.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <stdexcept>
#include <string>

#include "lib/base/descriptors.hpp"

using namespace husk;
using namespace husk::keeper;
using namespace std::chrono_literals;

namespace {

/// Who tells of changes, and what was done after them: a letter at the beginning of each work and
/// one at its end.
struct Bench {
  SocketPair changes = make_socket_pair();
  Pipe journal = make_pipe();
  std::string done;

  void tell() const { REQUIRE(::send(changes.own.get(), "change", 6, 0) == 6); }
  void note(char letter) const { static_cast<void>(::write(journal.write_end.get(), &letter, 1)); }

  OnChange work(std::chrono::milliseconds time) {
    return [this, time] {
      note('b');
      ::poll(nullptr, 0, static_cast<int>(time.count()));
      note('e');
    };
  }
  /// As the keeper does; until the journal has as many letters, or for three seconds.
  void run(ChangeFollower& follower, std::size_t letters) {
    const auto end = std::chrono::steady_clock::now() + 3s;
    while (done.size() < letters && std::chrono::steady_clock::now() < end) {
      std::vector<int> watched{journal.read_end.get()};
      follower.add_to(watched);
      std::vector<pollfd> polled;
      for (const int fd : watched) polled.push_back({fd, POLLIN, 0});
      const auto patience = follower.patience();
      ::poll(polled.data(), polled.size(),
             patience < 0ms ? 200 : static_cast<int>(patience.count()));
      follower.handle();
      char letter = 0;
      if (polled[0].revents != 0 && ::read(journal.read_end.get(), &letter, 1) == 1) done += letter;
    }
  }
};

}  // namespace

TEST_CASE("ChangeFollower: a crowd of changes is followed once", "[keeper]") {
  Bench bench;
  ChangeFollower follower(std::move(bench.changes.other), bench.work(0ms));
  CHECK(follower.patience() < 0ms);
  for (int i = 0; i < 20; ++i) bench.tell();
  bench.run(follower, 3);
  CHECK(bench.done == "be");
  bench.tell();
  bench.run(follower, 4);
  CHECK(bench.done == "bebe");
}

TEST_CASE("ChangeFollower: what changes during the work is followed after it", "[keeper]") {
  Bench bench;
  ChangeFollower follower(std::move(bench.changes.other), bench.work(400ms));
  bench.tell();
  bench.run(follower, 1);
  bench.tell();
  bench.run(follower, 4);
  CHECK(bench.done == "bebe");  // and not "bb..."
}

TEST_CASE("ChangeFollower: work that fails is nobody's harm", "[keeper]") {
  Bench bench;
  ChangeFollower follower(std::move(bench.changes.other), [&bench] {
    bench.note('b');
    throw std::runtime_error("no such interface");
  });
  bench.tell();
  bench.run(follower, 1);
  bench.tell();
  bench.run(follower, 2);
  CHECK(bench.done == "bb");
}

TEST_CASE("ChangeFollower: who tells no more is not waited for", "[keeper]") {
  Bench bench;
  ChangeFollower follower(std::move(bench.changes.other), bench.work(0ms));
  bench.changes.own.reset();
  follower.handle();
  std::vector<int> watched;
  follower.add_to(watched);
  CHECK(watched.empty());
  CHECK(follower.patience() < 0ms);
}

TEST_CASE("ChangeFollower: without a socket there is nothing to follow", "[keeper]") {
  ChangeFollower follower(UniqueFd{}, {});
  std::vector<int> watched;
  follower.add_to(watched);
  CHECK(watched.empty());
  follower.handle();
  CHECK(follower.patience() < 0ms);
}
