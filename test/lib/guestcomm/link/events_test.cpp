// SPDX-License-Identifier: Apache-2.0
// Events of a container, from a guest that may be hostile.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "test/lib/guestcomm/link/fake_guest.hpp"

using namespace husk;
using namespace husk::guestcomm;
using namespace std::chrono_literals;
using husk::test::FakeGuest;

namespace {

/// A guest whose container is watched, which then sends these payloads.
class WatchedGuest {
 public:
  explicit WatchedGuest(const std::vector<std::string>& payloads, bool stays = true)
      : guest_([=](int connection, std::int64_t request) {
          write_frame(connection, encode(Response{request, nlohmann::json::object()}));
          for (const std::string& payload : payloads) write_frame(connection, payload);
          if (stays) test::await_close(connection);
        }),
        client_(guest_.access(), 300ms) {
    client_.call(WatchContainer{"c1"}, 5s);
  }
  std::optional<ContainerEvent> next(std::chrono::milliseconds patience = 5s) {
    return client_.next_event(patience);
  }
  Error failure() {
    try {
      next();
    } catch (const Error& error) {
      return error;
    }
    return {Errc::internal, "nothing was thrown"};
  }

 private:
  FakeGuest guest_;
  AgentClient client_;
};

std::string event(ContainerEvent::Type type) {
  return encode(make_notification(ContainerEvent{"c1", type}));
}

}  // namespace

TEST_CASE("next_event: events come in their order, then nothing until the time is over",
          "[guestcomm]") {
  WatchedGuest guest({event(ContainerEvent::Type::oom), event(ContainerEvent::Type::stopped)});
  const auto first = guest.next(), second = guest.next();
  REQUIRE(first);
  CHECK(first->id == "c1");
  CHECK(first->type == ContainerEvent::Type::oom);
  REQUIRE(second);
  CHECK(second->type == ContainerEvent::Type::stopped);
  const auto start = std::chrono::steady_clock::now();
  CHECK_FALSE(guest.next(50ms));
  CHECK(std::chrono::steady_clock::now() - start >= 50ms);
  CHECK_FALSE(guest.next(0ms));
}

TEST_CASE("next_event: the end of the guest is a lost peer, after its last event", "[guestcomm]") {
  WatchedGuest guest({event(ContainerEvent::Type::oom)}, false);
  CHECK(guest.next());
  const Error error = guest.failure();
  CHECK(error.code() == Errc::peer_lost);
  CHECK(std::string(error.what()) == "guest agent: container_event: connection closed");
}

TEST_CASE("next_event: what is no event is refused", "[guestcomm]") {
  const auto [payload, text] = GENERATE(table<std::string, std::string>(
      {{encode(make_notification(ProcessExited{{"c1", ""}, 0})), "unexpected message"},
       {encode(make_request(7, ContainerEvent{"c1", {}})), "unexpected message"},
       {encode(Response{2, nlohmann::json::object()}), "malformed message: method is missing"},
       {R"({"method":"container_event"})", "malformed message: id is missing"},
       {R"({"method":"container_event","params":{"id":"c1","type":"started"}})",
        "malformed message: unknown event type"}}));
  WatchedGuest guest({payload});
  const Error error = guest.failure();
  CHECK(error.code() == Errc::invalid_argument);
  CHECK(std::string(error.what()) == "guest agent: container_event: " + text);
}

TEST_CASE("next_event: an event that begins and does not end costs the patience of a message",
          "[guestcomm]") {
  const FakeGuest guest([](int connection, std::int64_t request) {
    write_frame(connection, encode(Response{request, nlohmann::json::object()}));
    test::send_text(connection, std::string("\0\0\0\x40{", 5));
    test::await_close(connection);
  });
  AgentClient client(guest.access(), 200ms);
  client.call(WatchContainer{"c1"}, 5s);
  const auto start = std::chrono::steady_clock::now();
  try {
    client.next_event(60s);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::timed_out);
  }
  CHECK(std::chrono::steady_clock::now() - start < 5s);
}
