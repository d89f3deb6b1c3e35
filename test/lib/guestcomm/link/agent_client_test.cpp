// SPDX-License-Identifier: Apache-2.0
// The client against a guest that is hostile.
#include "lib/guestcomm/link/agent_client.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/guestcomm/protocol/frame.hpp"
#include "lib/guestcomm/protocol/process_list.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"
#include "test/lib/guestcomm/link/fake_guest.hpp"

using namespace husk;
using namespace husk::guestcomm;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using husk::test::FakeGuest;

namespace {
using Clock = std::chrono::steady_clock;
}  // namespace

TEST_CASE("AgentClient: a guest that drips costs the patience and no more", "[guestcomm]") {
  const FakeGuest guest([](int connection, std::int64_t request) {
    const std::string answer = make_frame(encode(Response{request, nlohmann::json::object()}));
    for (const char byte : answer) {
      if (::send(connection, &byte, 1, MSG_NOSIGNAL) != 1) return;
      std::this_thread::sleep_for(100ms);
    }
  });
  const auto start = Clock::now();
  CHECK(guest.kill_failure().code() == Errc::timed_out);
  CHECK(Clock::now() - start < 1500ms);
}

TEST_CASE("AgentClient: an agent from before an upgrade is served, one that shares no protocol not",
          "[guestcomm]") {
  const int oldest = own_protocols.oldest, newest = own_protocols.newest;
  const auto failure_with = [](const ProtocolRange& protocols) {
    return FakeGuest([](int connection, std::int64_t) { test::await_close(connection); },
                     Hello{.protocols = protocols, .version = "", .secret = ""})
        .kill_failure();
  };
  CHECK(failure_with({oldest, newest}).code() == Errc::timed_out);  // hello went well
  CHECK(failure_with({1, oldest}).code() == Errc::timed_out);
  CHECK(failure_with({newest, newest + 5}).code() == Errc::timed_out);
  const Error refused = failure_with({newest + 1, newest + 2});
  CHECK(refused.code() == Errc::unsupported);
  CHECK(refused.what() == "the guest agent speaks protocol " + describe({newest + 1, newest + 2}) +
                              ", the host " + describe(own_protocols));
}

TEST_CASE("AgentClient: an update on either side cuts off no VM that runs", "[guestcomm]") {
  const int oldest = own_protocols.oldest, newest = own_protocols.newest;
  const ProtocolRange today = own_protocols, next{oldest, newest + 1};
  for (const auto& [agent, host] : {std::pair{today, next}, {next, today}}) {
    // As the agent answers, and as one from before the answer was the lower of the two.
    for (const ProtocolRange& said : {agreed_range(agent, host), agent}) {
      const FakeGuest guest(
          [](int connection, std::int64_t request) {
            write_frame(connection, encode(Response{request, nlohmann::json::object()}));
          },
          Hello{.protocols = said, .version = "", .secret = ""});
      AgentClient client({guest.address(), std::string(32, 'a')}, 5s, ErrorWords::for_callers,
                         host);
      CHECK(client.protocol() == newest);
      CHECK_NOTHROW(client.call(StartProcess{{"c1", {}}}, 5s));
    }
  }
}

TEST_CASE("AgentClient: notifications nobody asked for are an error", "[guestcomm]") {
  const FakeGuest guest([](int connection, std::int64_t) {
    for (;;) write_frame(connection, encode(make_notification(ProcessExited{})));
  });
  const auto start = Clock::now();
  CHECK_THAT(guest.kill_failure().what(), ContainsSubstring("unexpected notification"));
  CHECK(Clock::now() - start < 1500ms);
}

TEST_CASE("AgentClient: a guest says 64 KiB at most at once", "[guestcomm]") {
  const FakeGuest guest([](int connection, std::int64_t) {
    write_frame(connection, std::string(65u << 10, ' '));
    test::await_close(connection);
  });
  CHECK_THAT(guest.kill_failure().what(), ContainsSubstring("over the limit of 65536"));
}

TEST_CASE("AgentClient: a guest's error is cut and harmless to a terminal", "[guestcomm]") {
  const FakeGuest guest([](int connection, std::int64_t request) {
    const std::string text = "caf\u00e9 \x1b[2J\n\u009b31m\x7f" + std::string(10u << 10, 'x');
    write_frame(connection, encode(Response{request, Error(Errc::not_found, text)}));
    test::await_close(connection);
  });
  const Error error = guest.start_failure();
  const std::string text = error.what();
  CHECK(error.code() == Errc::not_found);
  CHECK(text.starts_with("caf\u00e9 ?[2J??31m?xxx"));
  CHECK(text.size() <= 4096);
}

TEST_CASE("AgentClient: a guest's error tells callers no state", "[guestcomm]") {
  const char* const lie =
      GENERATE("container not running", "No Such Process", "os: process already finished",
               "container does not exist", "container not paused");
  const FakeGuest guest([&](int connection, std::int64_t request) {
    write_frame(connection, encode(Response{request, Error(Errc::wrong_state, lie)}));
    test::await_close(connection);
  });
  CHECK(guest.start_failure().what() ==
        std::string("the guest reported a state that the host cannot confirm "
                    "(see the debug log)"));
}

TEST_CASE("AgentClient: of a guest's answer to kill its text is in the debug log alone",
          "[guestcomm]") {
  const FakeGuest guest([&](int connection, std::int64_t request) {
    write_frame(connection, encode(Response{request, Error(Errc::system, "any words")}));
    test::await_close(connection);
  });
  std::string logged;
  set_log_sink([&](LogLevel level, std::string_view text) {
    if (level == LogLevel::debug) logged += text;
  });
  const Error error = guest.kill_failure();
  set_log_sink({});
  CHECK(error.code() == Errc::system);
  CHECK(error.what() == std::string("the agent answered signal_process with a system error "
                                    "(its text is in the debug log)"));
  CHECK(logged == "the guest's answer to signal_process: any words");
}

TEST_CASE("AgentClient: an answer that is none is refused by the request's name", "[guestcomm]") {
  const auto [answer, text] = GENERATE(table<std::string, std::string>(
      {{R"({"id":3,"result":{}})", "response with the wrong id"},
       {R"({"id":1,"result":{}})", "response with the wrong id"},  // hello's, again
       {R"({"result":{}})", "malformed message: id is missing"},
       {R"({"id":2})", "malformed message: result is missing"},
       {R"({"id":2,"error":"x"})", "malformed message: code is missing"},
       {R"({"id":2,"method":"x"})", "unexpected notification"},
       {"[]", "malformed message: id is missing"},
       {"", "message: malformed JSON at byte 1: "}}));
  const FakeGuest guest([&, &shown = answer](int connection, std::int64_t) {
    write_frame(connection, shown);
    test::await_close(connection);
  });
  const Error error = guest.kill_failure();
  CHECK(error.code() == Errc::invalid_argument);
  CHECK_THAT(error.what(), Catch::Matchers::StartsWith("guest agent: signal_process: " + text));
}

TEST_CASE("AgentClient: a result of another shape is refused by the request's name",
          "[guestcomm]") {
  const FakeGuest guest([](int connection, std::int64_t request) {
    write_frame(connection, encode(Response{request, nlohmann::json{{"processes", 7}}}));
    test::await_close(connection);
  });
  const Error error = guest.failure_of(ListProcesses{"c1"});
  CHECK(error.code() == Errc::invalid_argument);
  CHECK(std::string(error.what()) ==
        "guest agent: list_processes: malformed message: is_cut is missing");
}

TEST_CASE("AgentClient: a guest that ends is a lost peer, between messages and inside of one",
          "[guestcomm]") {
  const auto [sent, text] = GENERATE(table<std::string, std::string>(
      {{"", "connection closed"},
       {"ab", "connection ended inside a message"},
       {std::string("\0\0\0\x09{", 5), "connection ended inside"}}));
  const FakeGuest guest(
      [&, &shown = sent](int connection, std::int64_t) { test::send_text(connection, shown); });
  const Error error = guest.kill_failure();
  CHECK(error.code() == Errc::peer_lost);
  CHECK_THAT(error.what(), Catch::Matchers::StartsWith("guest agent: signal_process: " + text));
}

TEST_CASE("AgentClient: hello carries the secret and the host's protocols, and the agent's refusal",
          "[guestcomm]") {
  const test::Scratch scratch;
  std::string asked;
  Hello said;
  {
    const test::HybridPeer peer(scratch.path() / "s", [&](int connection) {
      asked = test::receive_line(connection);
      test::send_text(connection, "OK 1\n");
      const Request hello = decode_request(read_frame(connection).value());
      said = hello.params.get<Hello>();
      const Error refused(Errc::invalid_argument, "hello.secret: does not match this VM's secret");
      write_frame(connection, encode(Response{hello.id.value(), refused}));
    });
    const GuestAccess access{HybridAddress{(scratch.path() / "s").string()}, "5ec2e7"};
    CHECK_THROWS_WITH(AgentClient(access, 5s), "hello.secret: does not match this VM's secret");
  }
  CHECK(asked == "CONNECT 1024");
  CHECK(said.secret == "5ec2e7");
  CHECK(said.protocols == own_protocols);
}
