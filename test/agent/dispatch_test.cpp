// SPDX-License-Identifier: Apache-2.0
// What a request comes to before any container is there: its method, its parameters, its streams.
#include "agent/dispatch.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>

#include "agent/container/container_table.hpp"
#include "agent/network/configurator.hpp"
#include "agent/stream/pending_streams.hpp"
#include "agent/stream/port_connector.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"
#include "lib/base/trace.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"
#include "lib/guestcomm/protocol/process_list.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/statistics.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"
#include "test/agent/setup/in_child.hpp"

using namespace husk;
using namespace husk::agent;
using namespace husk::guestcomm;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

const std::string vm_secret(32, 'c');

class NoCards : public Cards {
 public:
  std::vector<Card> list() override { return {}; }
  void remove(const Card&) override {}
  void rescan() override {}
};

struct DispatchBench {
  EventLoop loop;
  ContainerTable containers{loop, "/no/such/cgroup/" + random_hex(8), {}};
  PendingStreams streams{loop, Secret(vm_secret)};
  NetworkConfigurator network{loop, [](const DnsQuery&) { return false; },
                              std::make_unique<NoCards>()};
  PortConnector ports{loop};
  GuestResizer size{loop, "/no/such/cgroup", {}};
  std::string claimed = {};  ///< the secret
  std::function<void(const ClaimVm&)> claim = [this](const ClaimVm& said) {
    claimed = said.secret;
  };
  std::optional<std::string> refusal = {};
  std::vector<Outcome> outcomes;

  void ask(const std::string& method, const json& params) {
    dispatch({containers, streams, network, ports, size, claim, refusal}, 1,
             Request{1, method, params},
             [this](const Outcome& outcome) { outcomes.push_back(outcome); });
  }
  /// The text of what is thrown; empty if nothing is.
  std::string failure(const std::string& method, const json& params) {
    try {
      ask(method, params);
    } catch (const std::exception& error) {
      return error.what();
    }
    return {};
  }
  /// The host's end of a stream that waits with this token.
  UniqueFd stream(const std::string& token) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
    UniqueFd mine{ends[1]};
    streams.adopt(UniqueFd{ends[0]}, Caller::root);
    write_all(mine.get(), "HUSK-STREAM " + vm_secret + " " + token + "\n");
    loop.run_once(100ms);
    REQUIRE(streams.contains(token));
    return mine;
  }
};

const std::string token_a(32, 'a'), token_b(32, 'b'), token_d(32, 'd');

json create_params(const StreamTokens& tokens) {
  CreateContainer request{"one", {}, tokens};
  request.spec.root.emplace();
  request.spec.root->path = "/run/husk/shared/one/rootfs";
  request.spec.process.emplace();
  request.spec.process->args = {"/bin/true"};
  return request;
}

}  // namespace

TEST_CASE("dispatch: a method that is none is refused, quoted and cut") {
  DispatchBench bench;
  CHECK(bench.failure("no_such", json::object()) == "unknown method no_such");
  CHECK(bench.failure("", json::object()) == "unknown method ");
  CHECK(bench.failure(std::string(900, 'm'), json::object()) ==
        "unknown method " + std::string(64, 'm'));
  CHECK(bench.failure("hello", json::object()) == "unknown method hello");  // the connection's
  CHECK(bench.outcomes.empty());
}

TEST_CASE("dispatch: parameters of another shape are refused by every method") {
  DispatchBench bench;
  for (const auto method :
       {CreateContainer::method, PauseContainer::method, ResumeContainer::method,
        UpdateContainer::method, DeleteContainer::method, ListProcesses::method,
        ReadStatistics::method, WatchContainer::method, CreateProcess::method, StartProcess::method,
        OwnProcess::method, ResizeTerminal::method, SignalProcess::method, ConnectPort::method,
        ResizeGuest::method, std::string_view("configure_network")}) {
    for (const json& params : {json::object(), json::array(), json(7), json(nullptr),
                               json{{"id", 7}, {"process", "one"}, {"network", {1, 2}}}}) {
      CAPTURE(method, params.dump());
      CHECK_FALSE(bench.failure(std::string(method), params).empty());
    }
  }
  CHECK(bench.outcomes.empty());
}

TEST_CASE("dispatch: a container that is not there is said so by every method that names one") {
  DispatchBench bench;
  const ProcessRef one{"one", "init"};
  CreateProcess exec{one, {}, {}, ""};
  exec.spec.args = {"ls"};
  for (const auto& [method, params] : std::vector<std::pair<std::string_view, json>>{
           {PauseContainer::method, PauseContainer{"one"}},
           {ResumeContainer::method, ResumeContainer{"one"}},
           {UpdateContainer::method, UpdateContainer{"one", {}}},
           {DeleteContainer::method, DeleteContainer{"one"}},
           {ListProcesses::method, ListProcesses{"one"}},
           {ReadStatistics::method, ReadStatistics{"one"}},
           {WatchContainer::method, WatchContainer{"one"}},
           {CreateProcess::method, exec},
           {StartProcess::method, StartProcess{one}},
           {OwnProcess::method, OwnProcess{one}},
           {ResizeTerminal::method, ResizeTerminal{one, {1, 2}}},
           {SignalProcess::method, SignalProcess{one, 9, false}}}) {
    CAPTURE(method);
    CHECK(bench.failure(std::string(method), params) == "container does not exist");
  }
  CHECK(bench.outcomes.empty());
}

TEST_CASE("dispatch: a wrong token leaves the other streams waiting, and is named") {
  DispatchBench bench;
  const UniqueFd in = bench.stream(token_a), err = bench.stream(token_b);
  const auto failure = [&](const StreamTokens& tokens) {
    return bench.failure(std::string(CreateContainer::method), create_params(tokens));
  };
  const std::string none = ": no pending stream connection has this token";
  CHECK(failure(Pipes<std::string>{token_a, token_d, token_b}) == "stdout" + none);
  CHECK(failure(Pipes<std::string>{token_a, token_b, token_d}) == "stderr" + none);
  CHECK(failure(Terminal<std::string>{token_d, {}}) == "terminal" + none);
  CHECK(failure(Pipes<std::string>{token_a, "", {}}) == "stdout" + none);
  // One stream cannot be two.
  CHECK(failure(Pipes<std::string>{token_a, token_b, token_a}) == "stderr" + none);
  const json port{{"port", 80}, {"to_container", token_a}, {"from_container", token_a}};
  CHECK(bench.failure(std::string(ConnectPort::method), port) == "stdout" + none);
  CHECK(bench.streams.contains(token_a));
  CHECK(bench.streams.contains(token_b));
  CHECK(bench.outcomes.empty());
}

TEST_CASE("dispatch: a container that cannot be made leaves neither its streams nor its name") {
  DispatchBench bench;
  for (int round = 0; round < 2; ++round) {
    const UniqueFd out = bench.stream(token_a);
    const std::string failure = bench.failure(std::string(CreateContainer::method),
                                              create_params(Pipes<std::string>{{}, token_a, {}}));
    CHECK_THAT(failure, ContainsSubstring("make cgroup /no/such/cgroup/"));
    CHECK_FALSE(bench.streams.contains(token_a));
    std::array<char, 256> text{};
    while (::read(out.get(), text.data(), text.size()) > 0) continue;  // the answer to the header
    CHECK(::read(out.get(), text.data(), text.size()) == 0);
    CHECK(bench.failure(std::string(PauseContainer::method), PauseContainer{"one"}) ==
          "container does not exist");
  }
  CHECK(bench.outcomes.empty());
}

TEST_CASE("dispatch: the trace is told once, by the names of the methods that were answered") {
  const std::string names = test::in_child([] {
    start_trace(8);
    DispatchBench bench;
    bench.failure(std::string(PauseContainer::method), PauseContainer{"one"});
    for (int i = 0; i < 3; ++i) bench.ask(std::string(TakeTrace::method), json::object());
    std::string told;
    for (const Outcome& outcome : bench.outcomes) {
      const auto trace = std::get<json>(outcome).get<GuestTrace>();
      for (const GuestSpan& span : trace.spans) {
        told += span.name;
        if (span.begin_us > span.end_us || span.end_us > trace.now_us) told += " at no time";
      }
      told += ";";
    }
    return told;
  });
  CHECK(names == ";trace;trace;");  // its own span ends with the answer
}

TEST_CASE("dispatch: a claim of a spare VM brings its secret", "[agent]") {
  DispatchBench bench;
  CHECK(bench.failure("claim_vm", {{"secret", "s"}}).find("entropy") != std::string::npos);
  CHECK(bench.claimed.empty());
  CHECK(bench.failure("claim_vm", {{"secret", "s"}, {"entropy", "e"}}).empty());
  CHECK(bench.claimed == "s");
}
