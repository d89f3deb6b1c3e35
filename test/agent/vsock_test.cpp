// SPDX-License-Identifier: Apache-2.0
// The host's ends of connections and the agent's, over the kernel's vsock, which fake_vsock.hpp stands for.
#include "agent/stream/vsock.hpp"

#include <sys/resource.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>
#include <thread>
#include <vector>

#include "agent/request/control_server.hpp"
#include "agent/stream/pending_streams.hpp"
#include "lib/base/error.hpp"
#include "lib/base/random_id.hpp"
#include "lib/guestcomm/link/agent_client.hpp"
#include "lib/guestcomm/protocol/connections.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "test/agent/fake_vsock.hpp"

using namespace husk;
using namespace husk::agent;
using namespace husk::guestcomm;
using namespace husk::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::string vsock_secret = "89abcdef0123456789abcdef01234567";
const GuestAccess any_port{VsockAddress{.cid = 3, .any_port = true}, vsock_secret};
const GuestAccess privileged_port{VsockAddress{.cid = 3, .any_port = false}, vsock_secret};
const GuestAccess wrong_secret{VsockAddress{.cid = 3, .any_port = true}, std::string(32, 'f')};
constexpr auto patience = 20s;

/// The agent's servers as Agent has them, in a thread.
class Guest {
 public:
  /// Whether a connection is handed on by the listener; else it is closed.
  using Filter = std::function<bool(Caller)>;

  explicit Guest(Filter filter = [](Caller) { return true; }) : filter_(std::move(filter)) {
    thread_ = std::thread([this] {
      while (!ends_) loop_.run_once(20ms);
    });
  }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  ~Guest() { end(); }

  /// After that the test may look.
  void end() {
    ends_ = true;
    if (thread_.joinable()) thread_.join();
  }
  ControlServer& control() { return control_; }
  PendingStreams& streams() { return streams_; }
  std::size_t roots() const { return roots_; }
  std::size_t anybodys() const { return anybodys_; }
  std::size_t requests() const { return requests_; }

 private:
  bool lets_in(Caller caller) {
    ++(caller == Caller::root ? roots_ : anybodys_);
    return filter_(caller);
  }

  Filter filter_;
  std::atomic<bool> ends_ = false;
  std::atomic<std::size_t> roots_ = 0, anybodys_ = 0, requests_ = 0;
  EventLoop loop_;
  PendingStreams streams_{loop_, Secret(vsock_secret)};
  ControlServer control_{loop_,
                         Secret(vsock_secret),
                         {[this](ConnectionId, const Request&, const Reply& reply) {
                            ++requests_;
                            reply(done());
                          },
                          [](ConnectionId) {}}};
  VsockListener control_listener_{loop_,
                                  control_port,
                                  true,
                                  {[this] { return control_.has_room(); },
                                   [this](UniqueFd socket, Caller caller) {
                                     if (lets_in(caller)) control_.adopt(std::move(socket), caller);
                                   }}};
  VsockListener stream_listener_{loop_,
                                 stream_port,
                                 true,
                                 {[this] { return streams_.has_room(); },
                                  [this](UniqueFd socket, Caller caller) {
                                    if (lets_in(caller)) streams_.adopt(std::move(socket), caller);
                                  }}};
  std::thread thread_;
};

/// What a shim has open: its control connection and three streams.
struct Shim {
  explicit Shim(const GuestAccess& guest)
      : tokens{random_hex(16), random_hex(16), random_hex(16)},
        control(guest, patience, ErrorWords::of_the_agent),
        streams(open_streams(guest, tokens, patience)) {}

  Pipes<std::string> tokens;
  AgentClient control;
  Stdio<UniqueFd> streams;
};

/// False: the hard limit is lower.
bool allow_open_files(rlim_t count) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < count) return false;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

bool are_pending(PendingStreams& streams, const Pipes<std::string>& tokens) {
  return streams.contains(tokens.in.value()) && streams.contains(tokens.out.value()) &&
         streams.contains(tokens.err.value());
}

/// Holds `count` connections from ports that every user of the host can have, half of them to each port of the agent.
std::vector<UniqueFd> flood(std::uint32_t first_source, int count) {
  std::vector<UniqueFd> connections;
  for (int n = 0; n < count; ++n)
    connections.push_back(connect_from(first_source + static_cast<std::uint32_t>(n),
                                       n % 2 == 0 ? control_port : stream_port));
  return connections;
}

}  // namespace

TEST_CASE("vsock: 1000 shims are connected at once, and no privileged port is used") {
  if (!allow_open_files(8500)) SKIP("the hard limit of open files is below 8500");
  Guest guest;
  std::vector<Shim> shims;
  for (int n = 0; n < 1000; ++n) shims.emplace_back(any_port);
  for (Shim& shim : shims) shim.control.call(StartProcess{{"c1", {}}}, patience);
  guest.end();
  CHECK(guest.requests() == 1000);
  CHECK(guest.control().greeted_connections() == 1000);
  CHECK(guest.roots() == 0);
  CHECK(guest.anybodys() == 4000);
  for (const Shim& shim : shims) REQUIRE(are_pending(guest.streams(), shim.tokens));
}

TEST_CASE("vsock: an agent of an earlier release is reached from privileged ports, and no others") {
  if (!allow_open_files(1500)) SKIP("the hard limit of open files is below 1500");
  Guest guest([](Caller caller) { return caller == Caller::root; });
  std::vector<UniqueFd> others;  // that husk has for other guests
  for (std::uint32_t port = 1; port <= 1000; ++port) others.push_back(bind_to(port));
  std::vector<Shim> shims;
  for (int n = 0; n < 5; ++n) shims.emplace_back(privileged_port);
  CHECK_THROWS_WITH(Shim(privileged_port), ContainsSubstring("no vsock port below 1024 is free"));
  others.pop_back();
  others.pop_back();  // 3 ports were left
  CHECK_NOTHROW(Shim(privileged_port));
  CHECK(guest.anybodys() == 0);
}

TEST_CASE("vsock: connections of the host's other users do not keep root out") {
  if (!allow_open_files(8500)) SKIP("the hard limit of open files is below 8500");
  Guest guest;
  const auto silent = flood(100000, 2000);
  std::atomic<bool> is_over = false;
  std::thread attacker([&] {
    for (std::uint32_t n = 0; !is_over; ++n) flood(200000 + 100 * (n % 1000), 100);
  });
  std::vector<Shim> shims;
  for (const GuestAccess& access : {any_port, privileged_port})
    for (int n = 0; n < 3; ++n) CHECK_NOTHROW(shims.emplace_back(access));
  for (Shim& shim : shims) CHECK_NOTHROW(shim.control.call(StartProcess{{"c1", {}}}, patience));
  is_over = true;
  attacker.join();
  guest.end();
  CHECK(guest.control().greeted_connections() == 6);
  for (const Shim& shim : shims) CHECK(are_pending(guest.streams(), shim.tokens));
  CHECK(guest.anybodys() > 1000);
}

TEST_CASE("vsock: where a flood has root's connections dropped, privileged ports reach the agent") {
  Guest guest([](Caller caller) { return caller == Caller::root; });
  Shim shim(any_port);
  shim.control.call(StartProcess{{"c1", {}}}, patience);
  guest.end();
  CHECK(guest.anybodys() == 4);
  CHECK(guest.roots() == 4);
  CHECK(are_pending(guest.streams(), shim.tokens));
}

TEST_CASE("vsock: without the VM's secret no port is served, a privileged one neither") {
  Guest guest;
  CHECK_THROWS_WITH(Shim(wrong_secret), "hello.secret: does not match this VM's secret");
  const Pipes<std::string> tokens{random_hex(16), random_hex(16), random_hex(16)};
  CHECK_THROWS_WITH(open_streams(wrong_secret, tokens, patience),
                    ContainsSubstring("did not accept the connection"));
  guest.end();
  CHECK_FALSE(guest.control().was_greeted());
  CHECK(guest.requests() == 0);
  CHECK_FALSE(guest.streams().contains(*tokens.in));
  CHECK(guest.anybodys() > 0);
  CHECK(guest.roots() > 0);  // open_streams has tried both
}
