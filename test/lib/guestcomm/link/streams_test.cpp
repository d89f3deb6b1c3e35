// SPDX-License-Identifier: Apache-2.0
// Opening the streams of a process: several connections to the guest at once.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/unix_address.hpp"
#include "lib/guestcomm/link/agent_client.hpp"
#include "test/lib/base/scratch.hpp"
#include "test/lib/guestcomm/link/hybrid_peer.hpp"

using namespace husk;
using namespace husk::guestcomm;
using namespace std::chrono_literals;
using husk::test::receive_line;
using husk::test::send_text;

namespace {

/// A vsock device and the agent behind it, with `count` connections: takes all of them and their headers before it
/// answers one.
class StreamPeer {
 public:
  /// Does to each connection what the test says, which has the header's last word, the token.
  using Answer = std::function<void(int connection, const std::string& token)>;

  StreamPeer(std::size_t count, Answer answer) {
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un name = unix_address(path());
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
        ::listen(listener_.get(), 8) != 0)
      throw_errno("listen on " + path());
    thread_ = std::thread([=, this] { serve(count, answer); });
  }
  StreamPeer(const StreamPeer&) = delete;
  StreamPeer& operator=(const StreamPeer&) = delete;
  ~StreamPeer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
  }

  GuestAccess access() const { return {HybridAddress{path()}, "5ec2e7"}; }
  /// The lines of all connections, once they have ended.
  std::vector<std::string> lines() {
    thread_.join();
    return lines_;
  }

 private:
  std::string path() const { return (directory_.path() / "s").string(); }

  void serve(std::size_t count, const Answer& answer) {
    std::vector<UniqueFd> connections;
    while (connections.size() < count) {
      UniqueFd connection(::accept(listener_.get(), nullptr, nullptr));
      if (!connection) return;
      lines_.push_back(receive_line(connection.get()));
      connections.push_back(std::move(connection));
    }
    for (const UniqueFd& connection : connections) send_text(connection.get(), "OK 1\n");
    std::vector<std::string> headers;
    for (const UniqueFd& connection : connections)
      headers.push_back(receive_line(connection.get()));
    lines_.insert(lines_.end(), headers.begin(), headers.end());
    for (std::size_t i = 0; i < count; ++i)
      answer(connections[i].get(), headers[i].substr(headers[i].rfind(' ') + 1));
    for (const UniqueFd& connection : connections) test::await_close(connection.get());
  }

  test::Scratch directory_;
  UniqueFd listener_;
  std::vector<std::string> lines_;
  std::thread thread_;
};

Pipes<std::string> three_tokens() { return {"0in", "1out", "2err"}; }

Error failure_to_open(const StreamPeer& peer, std::chrono::milliseconds patience = 5s) {
  try {
    open_streams(peer.access(), three_tokens(), patience);
  } catch (const Error& error) {
    return error;
  }
  return {Errc::internal, "nothing was thrown"};
}

}  // namespace

TEST_CASE("open_streams: all at once, each in its place, with nothing of the stream lost",
          "[guestcomm]") {
  StreamPeer peer(3, [](int connection, const std::string& token) {
    send_text(connection, "OK\nthis is " + token + "\n");
  });
  {
    const auto streams = open_streams(peer.access(), three_tokens(), 5s);
    const auto& pipes = std::get<Pipes<UniqueFd>>(streams);
    REQUIRE((pipes.in && pipes.out && pipes.err));
    CHECK(receive_line(pipes.in->get()) == "this is 0in");
    CHECK(receive_line(pipes.out->get()) == "this is 1out");
    CHECK(receive_line(pipes.err->get()) == "this is 2err");
  }
  CHECK(peer.lines() == std::vector<std::string>{"CONNECT 1025", "CONNECT 1025", "CONNECT 1025",
                                                 "HUSK-STREAM 5ec2e7 0in",
                                                 "HUSK-STREAM 5ec2e7 1out",
                                                 "HUSK-STREAM 5ec2e7 2err"});
}

TEST_CASE("open_streams: opens only those that are asked for", "[guestcomm]") {
  StreamPeer peer(1, [](int connection, const std::string&) { send_text(connection, "OK\n"); });
  SECTION("standard output") {
    const auto streams = open_streams(peer.access(), Pipes<std::string>{{}, "1out", {}}, 5s);
    const auto& pipes = std::get<Pipes<UniqueFd>>(streams);
    CHECK_FALSE(pipes.in);
    CHECK(pipes.out);
    CHECK_FALSE(pipes.err);
  }
  SECTION("a terminal, whose size stays") {
    const auto streams = open_streams(peer.access(), Terminal<std::string>{"token", {24, 80}}, 5s);
    CHECK(std::get<Terminal<UniqueFd>>(streams).stream);
    CHECK(std::get<Terminal<UniqueFd>>(streams).size == WindowSize{24, 80});
  }
  SECTION("none") {
    const GuestAccess nowhere{HybridAddress{"/nonexistent/s"}, ""};
    CHECK_NOTHROW(open_streams(nowhere, Pipes<std::string>{}, 5s));
  }
}

TEST_CASE("open_streams: an agent that refuses one leaves none open", "[guestcomm]") {
  const auto [answer, code, text] = GENERATE(table<std::string, Errc, std::string>(
      {{"NO\n", Errc::invalid_argument, "answered \"NO\\x0a\""},
       {"\x1b[2J", Errc::invalid_argument, "answered \"\\x1b[2\""},
       {"", Errc::peer_lost, "the guest agent did not accept the connection"}}));
  StreamPeer peer(3, [&, &shown = answer](int connection, const std::string& token) {
    if (token != "1out") return send_text(connection, "OK\n");
    send_text(connection, shown);
    ::shutdown(connection, SHUT_WR);
  });
  const Error error = failure_to_open(peer);
  CHECK(error.code() == code);
  CHECK(std::string(error.what()) == "open a stream of the guest: " + text);
  CHECK(peer.lines().size() == 6);  // each connection was closed, else this would not return
}

TEST_CASE("open_streams: one patience is for all of them", "[guestcomm]") {
  // A patience for each would last 800 ms: each but the last answers within it.
  StreamPeer peer(3, [](int connection, const std::string& token) {
    if (token == "2err") return;
    std::this_thread::sleep_for(250ms);
    send_text(connection, "OK\n");
  });
  const auto start = std::chrono::steady_clock::now();
  CHECK(failure_to_open(peer, 300ms).code() == Errc::timed_out);
  const auto taken = std::chrono::steady_clock::now() - start;
  CHECK(taken >= 300ms);
  CHECK(taken < 700ms);
  CHECK(peer.lines().size() == 6);
}
