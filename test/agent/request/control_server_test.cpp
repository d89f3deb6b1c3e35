// SPDX-License-Identifier: Apache-2.0
// What a peer of the control connection can do by the order, the pieces and the amount of its bytes; who is served
// at all is in access_test.cpp.
#include "agent/request/control_server.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/guestcomm/protocol/connections.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"

using namespace husk;
using namespace husk::agent;
using namespace husk::guestcomm;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::string control_secret = "00112233445566778899aabbccddeeff";

/// The agent's end of control connections, whose requests the test answers.
struct ControlBench {
  using OnRequest = std::function<void(const Request&, const Reply&)>;

  EventLoop loop;
  std::vector<std::string> methods;
  std::vector<ConnectionId> callers, closed;
  OnRequest on_request = [](const Request&, const Reply& reply) { reply(done()); };
  ControlServer server{loop,
                       Secret(control_secret),
                       {[this](ConnectionId id, const Request& request, const Reply& reply) {
                          callers.push_back(id);
                          methods.push_back(request.method);
                          on_request(request, reply);
                        },
                        [this](ConnectionId id) { closed.push_back(id); }}};

  UniqueFd connect() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
    server.adopt(UniqueFd{ends[0]}, Caller::root);
    return UniqueFd{ends[1]};
  }
  void turn(int times = 6) {
    for (int i = 0; i < times; ++i) loop.run_once(1ms);
  }
  void say(const UniqueFd& socket, const std::string& bytes) {
    write_all(socket.get(), bytes);
    turn();
  }
  UniqueFd greeted();
};

/// The answers that came to a peer by now.
struct Heard {
  std::vector<Response> answers;
  bool is_closed = false;
};

Heard hear(const UniqueFd& socket) {
  Heard heard;
  FrameReader reader{max_frame_bytes};
  std::array<char, 4096> chunk{};
  ssize_t count = 0;
  while ((count = ::read(socket.get(), chunk.data(), chunk.size())) > 0)
    reader.append({chunk.data(), static_cast<std::size_t>(count)});
  // A peer with unread bytes resets the connection.
  heard.is_closed = count == 0 || errno == ECONNRESET;
  while (const auto payload = reader.next()) heard.answers.push_back(decode_response(*payload));
  return heard;
}

std::string error_in(const Response& response) {
  const auto* error = std::get_if<Error>(&response.outcome);
  return error != nullptr ? error->what() : "";
}

std::string frame_of(std::int64_t id, const std::string& method) {
  return make_frame(encode(Request{id, method, nlohmann::json::object()}));
}

std::string hello_frame(std::int64_t id, const std::string& said) {
  const Hello hello{.protocols = own_protocols, .version = "test", .secret = said};
  return make_frame(encode(make_request(id, hello)));
}

UniqueFd ControlBench::greeted() {
  UniqueFd socket = connect();
  say(socket, hello_frame(1, control_secret));
  REQUIRE(hear(socket).answers.size() == 1);
  return socket;
}

}  // namespace

TEST_CASE("control: a refused hello is the last frame of its connection that is looked at") {
  ControlBench bench;
  const UniqueFd socket = bench.connect();
  const std::string wrong(32, 'f');
  bench.say(socket, hello_frame(1, wrong) + hello_frame(2, control_secret) + frame_of(3, "later"));
  const Heard heard = hear(socket);
  REQUIRE(heard.answers.size() == 1);
  CHECK(heard.answers[0].id == 1);
  CHECK(error_in(heard.answers[0]) == "hello.secret: does not match this VM's secret");
  CHECK(heard.is_closed);
  CHECK(bench.methods.empty());
  CHECK_FALSE(bench.server.was_greeted());
  CHECK(bench.closed.empty());  // only of those that said hello
}

TEST_CASE("control: requests right behind hello are served, in their order") {
  ControlBench bench;
  const UniqueFd socket = bench.connect();
  bench.say(socket, hello_frame(7, control_secret) + frame_of(8, "one") + frame_of(9, "two"));
  const Heard heard = hear(socket);
  REQUIRE(heard.answers.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(heard.answers[i].id == static_cast<std::int64_t>(7 + i));
    CHECK(error_in(heard.answers[i]).empty());
  }
  CHECK_FALSE(heard.is_closed);
  CHECK(bench.methods == std::vector<std::string>{"one", "two"});
}

TEST_CASE("control: a frame may come byte by byte, and two frames at once") {
  ControlBench bench;
  const UniqueFd socket = bench.greeted();
  const std::string frame = frame_of(2, "slow");
  for (const char byte : frame) {
    CHECK(bench.methods.empty());
    write_all(socket.get(), std::string(1, byte));
    bench.turn(1);
  }
  bench.turn();
  CHECK(bench.methods == std::vector<std::string>{"slow"});
  bench.say(socket, frame.substr(0, 9));
  bench.say(socket, frame.substr(9) + frame_of(3, "next"));
  CHECK(bench.methods == std::vector<std::string>{"slow", "slow", "next"});
}

TEST_CASE("control: whatever a request throws is its answer, and the next one is served") {
  ControlBench bench;
  const UniqueFd socket = bench.greeted();
  const std::string long_name(200, 'm');
  bench.on_request = [](const Request& request, const Reply& reply) {
    if (request.method == "error") throw Error(Errc::not_found, "no such thing");
    if (request.method == "system") throw Error(Errc::system, "open /x: no such file", ENOENT);
    if (request.method != "fine") throw std::runtime_error("by a library");
    reply(done());
  };
  bench.say(socket, frame_of(2, "error") + frame_of(3, "system") + frame_of(4, long_name) +
                        frame_of(5, "fine"));
  const Heard heard = hear(socket);
  REQUIRE(heard.answers.size() == 4);
  CHECK(error_in(heard.answers[0]) == "no such thing");
  CHECK(std::get<Error>(heard.answers[0].outcome).code() == Errc::not_found);
  CHECK(std::get<Error>(heard.answers[1].outcome).sys_errno() == ENOENT);
  CHECK(error_in(heard.answers[2]) == long_name.substr(0, 64) + ": by a library");
  CHECK(std::get<Error>(heard.answers[2].outcome).code() == Errc::internal);
  CHECK(error_in(heard.answers[3]).empty());
  CHECK_FALSE(heard.is_closed);
}

TEST_CASE("control: bytes that are no request end their connection alone, once") {
  const std::string huge_frame("\xff\xff\xff\xff", 4);
  for (const std::string& bytes :
       {make_frame("{"), make_frame("[]"), make_frame("null"), make_frame(R"({"id":2})"),
        make_frame(R"({"jsonrpc":"2.0","id":2,"method":7})"), huge_frame}) {
    CAPTURE(bytes);
    ControlBench bench;
    const UniqueFd other = bench.greeted(), socket = bench.greeted();
    bench.say(socket, bytes + frame_of(3, "behind"));
    CHECK(hear(socket).is_closed);
    CHECK(bench.methods.empty());
    CHECK(bench.closed.size() == 1);
    bench.say(other, frame_of(2, "other"));
    CHECK(hear(other).answers.size() == 1);
    CHECK(bench.server.greeted_connections() == 1);
  }
}

TEST_CASE("control: a notification has no answer, of a failure neither") {
  ControlBench bench;
  const UniqueFd socket = bench.greeted();
  bench.on_request = [](const Request& request, const Reply& reply) {
    if (request.method == "fails") throw Error(Errc::not_found, "nobody hears this");
    reply(done());
  };
  for (const char* method : {"works", "fails"})
    bench.say(socket, make_frame(encode(Request{{}, method, nlohmann::json::object()})));
  CHECK(bench.methods == std::vector<std::string>{"works", "fails"});
  const Heard heard = hear(socket);
  CHECK(heard.answers.empty());
  CHECK_FALSE(heard.is_closed);
}

TEST_CASE("control: answers go to who asked, in the order in which they are ready") {
  ControlBench bench;
  const UniqueFd first = bench.greeted(), second = bench.greeted();
  std::vector<Reply> late;
  bench.on_request = [&](const Request&, const Reply& reply) { late.push_back(reply); };
  bench.say(first, frame_of(2, "a") + frame_of(3, "b"));
  bench.say(second, frame_of(2, "c"));
  REQUIRE(late.size() == 3);
  CHECK(bench.callers[0] == bench.callers[1]);
  CHECK(bench.callers[0] != bench.callers[2]);
  CHECK(hear(first).answers.empty());
  late[1](done());
  late[0](Error(Errc::timed_out, "too late"));
  bench.turn();
  const Heard heard = hear(first);
  REQUIRE(heard.answers.size() == 2);
  CHECK(heard.answers[0].id == 3);
  CHECK(heard.answers[1].id == 2);
  CHECK(error_in(heard.answers[1]) == "too late");
  CHECK(hear(second).answers.empty());
}

TEST_CASE(
    "control: an answer to a connection that has gone is dropped, and its number not used again") {
  ControlBench bench;
  UniqueFd socket = bench.greeted();
  Reply late;
  bench.on_request = [&](const Request&, const Reply& reply) { late = reply; };
  bench.say(socket, frame_of(2, "slow"));
  socket.reset();
  bench.turn();
  CHECK(bench.closed == bench.callers);
  const UniqueFd next = bench.greeted();
  late(done());
  bench.server.notify(bench.callers[0], ProcessExited{});
  bench.turn();
  const Heard heard = hear(next);
  CHECK(heard.answers.empty());
  CHECK_FALSE(heard.is_closed);
  CHECK(bench.closed.size() == 1);
}

TEST_CASE("control: a peer that does not read is dropped before it costs much memory") {
  ControlBench bench;
  const UniqueFd socket = bench.greeted(), other = bench.greeted();
  const nlohmann::json long_answer{{"text", std::string(512u << 10, 'x')}};
  bench.on_request = [&](const Request&, const Reply& reply) { reply(long_answer); };
  for (int i = 0; i < 5; ++i) bench.say(socket, frame_of(2, "much"));
  CHECK(bench.closed.empty());  // slow is not too slow
  for (std::size_t asked = 0; asked < 8 && bench.closed.empty(); ++asked)
    bench.say(socket, frame_of(2, "much"));
  CHECK(bench.closed.size() == 1);
  bench.say(other, frame_of(2, "little"));
  CHECK(bench.server.greeted_connections() == 1);
}

TEST_CASE("control: a slow reader gets every answer whole") {
  ControlBench bench;
  const UniqueFd socket = bench.greeted();
  bench.on_request = [](const Request& request, const Reply& reply) {
    reply(nlohmann::json{{"text", std::string(700u << 10, static_cast<char>('a' + *request.id))}});
  };
  bench.say(socket, frame_of(2, "one") + frame_of(3, "two") + frame_of(4, "three"));
  FrameReader reader{max_frame_bytes};
  std::vector<Response> answers;
  std::array<char, 50000> chunk{};
  for (int i = 0; i < 2000 && answers.size() < 3; ++i) {
    const ssize_t count = ::read(socket.get(), chunk.data(), chunk.size());
    if (count > 0) reader.append({chunk.data(), static_cast<std::size_t>(count)});
    while (const auto payload = reader.next()) answers.push_back(decode_response(*payload));
    bench.turn(1);
  }
  REQUIRE(answers.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto text = std::get<nlohmann::json>(answers[i].outcome).at("text").get<std::string>();
    CHECK(answers[i].id == static_cast<std::int64_t>(i + 2));
    CHECK(text == std::string(700u << 10, static_cast<char>('c' + i)));
  }
}
