// SPDX-License-Identifier: Apache-2.0
#include "lib/base/deadline.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <climits>
#include <csignal>
#include <functional>

#include "lib/base/cancellation.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "test/lib/base/child.hpp"

using namespace husk;
using namespace std::chrono_literals;

namespace {

/// A connection whose near end is ours, not blocking, and whose far end is the peer's.
struct Connection {
  UniqueFd near, far;
  Connection() {
    std::array<int, 2> ends{};
    check_sys(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()),
              "socketpair");
    near = UniqueFd{ends[0]};
    far = UniqueFd{ends[1]};
  }
  void says(std::string_view text) const { send_before(far.get(), text, Deadline(1s)); }
  std::string line(std::size_t max_bytes, int gone_fd = -1,
                   std::chrono::milliseconds patience = 1s) const {
    return read_line(near.get(), max_bytes, gone_fd, Deadline(patience), "the agent");
  }
  /// Ends with what was sent to it unread: a reset, not an end of file.
  void resets() {
    check_sys(::send(near.get(), "x", 1, MSG_NOSIGNAL), "send");
    far.reset();
  }
};

/// The kind and the text of an error.
std::pair<Errc, std::string> error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return {e.code(), e.what()};
  }
  return {};
}

using Wrong = std::pair<Errc, std::string>;

}  // namespace

TEST_CASE("deadline: the time for poll is never negative, and never more than it can hold",
          "[base]") {
  CHECK(Deadline(-1h).poll_timeout() == 0);
  CHECK(Deadline(-1h).passed());
  CHECK(Deadline(0ms).passed());
  CHECK_FALSE(Deadline(1h).passed());
  const int hour = Deadline(1h).poll_timeout();
  CHECK(hour > 3'590'000);
  CHECK(hour <= 3'600'000);
  CHECK(Deadline(24h * 365).poll_timeout() == INT_MAX);
  CHECK_FALSE(Deadline::none().passed());
}

TEST_CASE("await: ready, gone or too late, in this order", "[base]") {
  const Connection connection;
  const Pipe quiet = make_pipe();
  Pipe gone = make_pipe();
  const auto waited = [&](short events, int gone_fd) {
    return await(connection.near.get(), events, gone_fd, Deadline(1ms));
  };
  CHECK(waited(POLLIN, -1) == Readiness::timed_out);
  CHECK(waited(POLLIN, quiet.read_end.get()) == Readiness::timed_out);
  CHECK(waited(POLLOUT, -1) == Readiness::ready);
  REQUIRE(::write(gone.write_end.get(), "x", 1) == 1);
  CHECK(waited(POLLIN, gone.read_end.get()) == Readiness::gone);
  connection.says("last words");
  CHECK(waited(POLLIN, gone.read_end.get()) == Readiness::ready);
}

TEST_CASE("await: the end of the other side is something to read", "[base]") {
  Connection connection;
  connection.far.reset();
  CHECK(await(connection.near.get(), POLLIN, -1, Deadline(1ms)) == Readiness::ready);
}

TEST_CASE("await: a signal that cancels ends every wait of a socket", "[base]") {
  const std::function<void(const Connection&)> waits[] = {
      [](const Connection& c) { await(c.near.get(), POLLIN, -1, Deadline(1h)); },
      [](const Connection& c) { c.line(10, -1, 1h); },
      [](const Connection& c) { receive_before(c.near.get(), 1, Deadline(1h)); },
      [](const Connection& c) {
        send_before(c.near.get(), std::string(std::size_t{1} << 24, 'x'), Deadline(1h));
      }};
  for (const auto& wait : waits) {
    CHECK(test::thrown_in_child([&] {
            const Connection connection;
            const Cancellation cancellation;
            ::raise(SIGTERM);
            wait(connection);
          }) == "interrupted by signal " + std::to_string(SIGTERM));
  }
}

TEST_CASE("read_line: takes its line and nothing behind it", "[base]") {
  const Connection connection;
  connection.says("one\n\ntwo\r\nrest");
  CHECK(connection.line(10) == "one");
  CHECK(connection.line(10).empty());
  CHECK(connection.line(10) == "two\r");
  CHECK(receive_before(connection.near.get(), 4, Deadline(1s)) == "rest");
}

TEST_CASE("read_line: a line as long as allowed, and one byte more", "[base]") {
  const Connection connection;
  connection.says("12345\n12345\x1b\n");
  CHECK(connection.line(5) == "12345");
  CHECK(error_of([&] { connection.line(5); }) ==
        Wrong(Errc::invalid_argument, "the agent: line too long: \"12345\""));
}

TEST_CASE("read_line: what ends it is named, with the peer", "[base]") {
  Connection connection;
  Pipe gone = make_pipe();
  connection.says("half a li");
  SECTION("the time") {
    CHECK(error_of([&] { connection.line(100, gone.read_end.get(), 1ms); }) ==
          Wrong(Errc::timed_out, "the agent: no answer in time"));
  }
  SECTION("the time, although bytes are there") {
    CHECK(error_of([&] { connection.line(100, -1, -1ms); }) ==
          Wrong(Errc::timed_out, "the agent: no answer in time"));
  }
  SECTION("the end of the VM") {
    gone.write_end.reset();
    CHECK(error_of([&] { connection.line(100, gone.read_end.get()); }) ==
          Wrong(Errc::peer_lost, "the agent: the virtual machine ended"));
  }
  SECTION("the end of the connection") {
    connection.far.reset();
    CHECK(error_of([&] { connection.line(100); }) ==
          Wrong(Errc::peer_lost, "the agent: closed the connection"));
  }
  SECTION("a reset, in the small letters of all errors") {
    connection.resets();
    CHECK(error_of([&] { connection.line(100); }) ==
          Wrong(Errc::peer_lost, "the agent: connection reset by peer"));
  }
}

TEST_CASE("send_before: all of it, or an error in time", "[base]") {
  Connection connection;
  const std::string much(std::size_t{1} << 24, 'x');  // more than a socket holds
  CHECK(error_of([&] { send_before(connection.near.get(), much, Deadline(1ms)); }) ==
        Wrong(Errc::timed_out, "no answer in time"));
  CHECK(error_of([&] { send_before(connection.near.get(), "x", Deadline(-1ms)); }) ==
        Wrong(Errc::timed_out, "no answer in time"));
  CHECK_NOTHROW(send_before(connection.near.get(), "", Deadline(-1ms)));
  connection.far.reset();  // no SIGPIPE either
  CHECK(error_of([&] { send_before(connection.near.get(), "x", Deadline(1s)); }) ==
        Wrong(Errc::peer_lost, "broken pipe"));
}

TEST_CASE("receive_before: exactly as much, less only at the end", "[base]") {
  Connection connection;
  const auto receive = [&](std::size_t size, std::chrono::milliseconds patience = 1s) {
    return receive_before(connection.near.get(), size, Deadline(patience));
  };
  const std::string text(10'000, 'x');  // in pieces
  connection.says(text + "rest");
  CHECK(receive(0, -1ms).empty());
  CHECK(receive(text.size()) == text);
  CHECK(error_of([&] { receive(5, 1ms); }) == Wrong(Errc::timed_out, "no answer in time"));
  connection.says("end");
  CHECK(error_of([&] { receive(3, -1ms); }) == Wrong(Errc::timed_out, "no answer in time"));
  SECTION("an end of file") {
    connection.far.reset();
    CHECK(receive(5) == "end");
    CHECK(receive(5).empty());
  }
  SECTION("a reset") {
    connection.resets();
    CHECK(receive(3) == "end");
    CHECK(error_of([&] { receive(5); }) == Wrong(Errc::peer_lost, "connection reset by peer"));
  }
}

TEST_CASE("receive_before: a size that was only announced takes no memory", "[base]") {
  Connection connection;
  connection.far.reset();
  CHECK(receive_before(connection.near.get(), SIZE_MAX, Deadline(1s)).empty());
}
