// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include "agent/boot/boot.hpp"
#include "agent/container/report.hpp"
#include "agent/stream/pending_streams.hpp"
#include "agent/stream/stream_copy.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/guestcomm/protocol/write_limit.hpp"

using namespace husk::agent;
using husk::UniqueFd;
using namespace std::chrono_literals;

namespace {

std::array<UniqueFd, 2> make_pipe() {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

std::array<UniqueFd, 2> make_sockets() {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

const std::string token(32, 'a'), secret(32, 'b');
const std::string header = "HUSK-STREAM " + secret + " " + token + "\n";

}  // namespace

TEST_CASE("stream copy: everything arrives through a slow reader, then end of file") {
  ::signal(SIGPIPE, SIG_IGN);
  EventLoop loop;
  auto source = make_pipe();
  auto sink = make_pipe();
  ::fcntl(source[1].get(), F_SETFL, O_NONBLOCK);
  ::fcntl(sink[0].get(), F_SETFL, O_NONBLOCK);
  int done = 0;
  StreamCopy copy(loop, std::move(source[0]), std::move(sink[1]), [&] { ++done; });
  std::string sent, received;
  std::array<char, 7919> chunk{};
  for (int i = 0; received.size() < (2u << 20); ++i) {
    std::fill(chunk.begin(), chunk.end(), static_cast<char>(i));
    const ssize_t written = source[1] ? ::write(source[1].get(), chunk.data(), chunk.size()) : 0;
    if (written > 0) sent.append(chunk.data(), static_cast<std::size_t>(written));
    if (sent.size() > (2u << 20)) source[1].reset();
    loop.run_once(0ms);
    const ssize_t count = ::read(sink[0].get(), chunk.data(), chunk.size());
    if (count > 0) received.append(chunk.data(), static_cast<std::size_t>(count));
    if (count == 0) break;
  }
  while (done == 0) {
    loop.run_once(10ms);
    received += [&] {
      const ssize_t count = ::read(sink[0].get(), chunk.data(), chunk.size());
      return count > 0 ? std::string(chunk.data(), static_cast<std::size_t>(count)) : std::string{};
    }();
  }
  for (ssize_t count = 0; (count = ::read(sink[0].get(), chunk.data(), chunk.size())) > 0;) {
    received.append(chunk.data(), static_cast<std::size_t>(count));
  }
  CHECK(received == sent);
  CHECK(done == 1);
  CHECK(copy.done());
}

TEST_CASE("stream copy: a reader that goes away ends it and closes the source") {
  ::signal(SIGPIPE, SIG_IGN);
  EventLoop loop;
  auto source = make_pipe();
  auto sink = make_pipe();
  int done = 0;
  StreamCopy copy(loop, std::move(source[0]), std::move(sink[1]), [&] { ++done; });
  sink[0].reset();
  husk::write_all(source[1].get(), "lost");
  while (done == 0) loop.run_once(1000ms);
  CHECK(::write(source[1].get(), "x", 1) == -1);
  CHECK(errno == EPIPE);
}

TEST_CASE("stream copy: no write is longer than a vsock socket can take at once") {
  EventLoop loop;
  auto source = make_pipe();
  std::array<int, 2> ends{};
  // Each write is one message, and its length can be seen.
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const UniqueFd receiver(ends[0]);
  StreamCopy copy(loop, std::move(source[0]), UniqueFd(ends[1]), nullptr);
  std::string message(64u << 10, 'x');
  husk::write_all(source[1].get(), message);
  source[1].reset();
  std::size_t received = 0;
  while (received < message.size()) {
    loop.run_once(10ms);
    const ssize_t count = ::recv(receiver.get(), message.data(), message.size(), MSG_DONTWAIT);
    if (count < 0) continue;
    REQUIRE(count > 0);
    CHECK(static_cast<std::size_t>(count) <= husk::guestcomm::guest_write_limit);
    received += static_cast<std::size_t>(count);
  }
}

TEST_CASE("stream copy: a source that somebody else keeps open ends once it is empty") {
  EventLoop loop;
  auto source = make_pipe();
  auto sink = make_pipe();
  StreamCopy copy(loop, std::move(source[0]), std::move(sink[1]), nullptr);
  husk::write_all(source[1].get(), "last words");
  copy.finish_when_empty();
  CHECK(copy.done());
  CHECK(husk::read_all(sink[0].get(), 100, "sink") == "last words");
}

TEST_CASE("pending streams: a header registers its token once, and what follows is untouched") {
  EventLoop loop;
  PendingStreams streams(loop, Secret(secret));
  auto sockets = make_sockets();
  husk::write_all(sockets[1].get(), header + "the container's input");
  streams.adopt(std::move(sockets[0]), Caller::root);
  while (!streams.contains(token)) loop.run_once(1000ms);
  auto second = make_sockets();
  husk::write_all(second[1].get(), header);
  streams.adopt(std::move(second[0]), Caller::root);
  loop.run_once(1000ms);
  CHECK(husk::read_all(second[1].get(), 10, "second") == "");  // refused: closed without OK
  const UniqueFd claimed = streams.claim(token);
  std::array<char, 64> text{};
  CHECK(::read(claimed.get(), text.data(), text.size()) == 21);
  CHECK_THROWS_AS(streams.claim(token), husk::Error);
}

TEST_CASE("pending streams: headers that are none are recognised") {
  REQUIRE(parse_stream_header(header));
  CHECK(parse_stream_header(header)->token == token);
  CHECK(parse_stream_header(header)->secret == secret);
  for (const std::string& bad :
       {"HUSK-STREAM " + secret + " " + std::string(32, 'A') + "\n",
        "HUSK-STREAM " + std::string(31, 'b') + "/ " + token + "\n",
        "HUSK-STREAM " + secret + "a" + token + "\n", "HUSK-STREAM " + token + "\n",
        "HUSK-STREAX " + secret + " " + token + "\n", std::string{}}) {
    CHECK_FALSE(parse_stream_header(bad));
  }
}

TEST_CASE("pending streams: without the VM's secret there is no stream") {
  EventLoop loop;
  PendingStreams streams(loop, Secret(secret));
  auto sockets = make_sockets();
  husk::write_all(sockets[1].get(), "HUSK-STREAM " + std::string(31, 'b') + "c " + token + "\n");
  streams.adopt(std::move(sockets[0]), Caller::root);
  loop.run_once(1000ms);
  CHECK(husk::read_all(sockets[1].get(), 10, "stranger") == "");
  CHECK_FALSE(streams.contains(token));
}

TEST_CASE("pending streams: the number of those without a header is bounded") {
  EventLoop loop;
  PendingStreams streams(loop, Secret(secret));
  std::vector<UniqueFd> ends;
  for (std::size_t i = 0; i <= PendingStreams::max_unnamed; ++i) {
    auto sockets = make_sockets();
    streams.adopt(std::move(sockets[0]), Caller::root);
    ends.push_back(std::move(sockets[1]));
  }
  ::fcntl(ends.front().get(), F_SETFL, O_NONBLOCK);
  char byte = 0;
  CHECK(::read(ends.back().get(), &byte, 1) == 0);
  CHECK(::read(ends.front().get(), &byte, 1) == -1);
}

TEST_CASE("pending streams: of anybody's without a header the oldest makes room, root's stay") {
  EventLoop loop;
  PendingStreams streams(loop, Secret(secret));
  const auto connect = [&](Caller caller) {
    auto sockets = make_sockets();
    ::fcntl(sockets[0].get(), F_SETFL, O_NONBLOCK);
    ::fcntl(sockets[1].get(), F_SETFL, O_NONBLOCK);
    streams.adopt(std::move(sockets[0]), caller);
    return std::move(sockets[1]);
  };
  const UniqueFd roots = connect(Caller::root), early = connect(Caller::anybody);
  husk::write_all(early.get(), header);
  std::vector<UniqueFd> strangers;
  for (std::size_t i = 0; i < 2 * Strangers::max_of_anybody; ++i)
    strangers.push_back(connect(Caller::anybody));
  CHECK(streams.contains(token));  // heard before it would have been dropped
  char byte = 0;
  CHECK(::read(strangers.front().get(), &byte, 1) == 0);
  CHECK(::read(strangers.back().get(), &byte, 1) == -1);
  const std::string other(32, 'c');
  husk::write_all(roots.get(), "HUSK-STREAM " + secret + " " + other + "\n");
  while (!streams.contains(other)) loop.run_once(1000ms);
  for (std::size_t i = 0; i < Strangers::max_of_anybody; ++i)
    strangers.push_back(connect(Caller::anybody));
  CHECK(streams.claim(token));
  CHECK(streams.claim(other));
}

TEST_CASE("report: what the child says arrives as it was, cut where it is too long") {
  auto pipe = make_pipe();
  report_ready(pipe[1].get());
  report_executing(pipe[1].get());
  report_error(pipe[1].get(), {husk::Errc::not_found, std::string(9000, 'x'), ENOENT});
  pipe[1].reset();
  const Report report = parse_report(husk::read_all(pipe[0].get(), 8192, "report"));
  CHECK(report.ready);
  CHECK(report.executing);
  REQUIRE(report.error);
  CHECK(report.error->code() == husk::Errc::not_found);
  CHECK(report.error->sys_errno() == ENOENT);
  CHECK(std::string(report.error->what()) == std::string(3500, 'x'));
  CHECK(parse_report("Egarbage").error->code() == husk::Errc::internal);
  CHECK_FALSE(parse_report("").ready);
  CHECK_FALSE(parse_report("R").executing);
}

TEST_CASE("boot: the kernel's command line gives port and debugging, or not") {
  CHECK(parse_command_line("quiet husk.announce=1234 husk.debug\n").announce_port == 1234);
  CHECK(parse_command_line("husk.debug").debug);
  CHECK_FALSE(parse_command_line("husk.announce=12x").announce_port);
  CHECK_FALSE(parse_command_line("husk.announce=99999999999").announce_port);
  CHECK_FALSE(parse_command_line("").debug);
  CHECK(parse_command_line("a husk.privileged_ports b").privileged_ports);
  CHECK_FALSE(parse_command_line("husk.privileged_portsx").privileged_ports);
}
