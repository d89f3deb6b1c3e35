// SPDX-License-Identifier: Apache-2.0
#include "agent/network/configurator.hpp"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "test/agent/network/own_network.hpp"

using namespace husk;
using namespace husk::agent;
using namespace husk::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Cards that are there when the test says so.
class LateCards : public VethCards {
 public:
  int looked = 0, rescanned = 0;
  bool is_broken = false;

  std::vector<Card> list() override {
    ++looked;
    if (is_broken) throw std::runtime_error("no bus");
    return VethCards::list();
  }
  void rescan() override {
    ++rescanned;
    if (is_broken) throw Error(Errc::system, "rescan: no bus");
  }
};

constexpr const char* late_device = "02:00:00:00:00:0a";

guestcomm::Network one_link(const std::string& device) {
  guestcomm::Network network;
  network.links = {{.name = "eth0",
                    .device = device,
                    .mac = "02:42:0a:00:00:02",
                    .mtu = 1400,
                    .queue_length = 1000,
                    .flags = 0,
                    .addresses = {},
                    .neighbours = {}}};
  return network;
}

struct ConfiguratorBench {
  OwnNetwork own;
  EventLoop loop;
  LateCards* cards = new LateCards;  // the configurator's, below
  std::vector<Outcome> outcomes;
  std::optional<NetworkConfigurator> configurator;

  ConfiguratorBench() {
    configurator.emplace(
        loop, [](const guestcomm::DnsQuery&) { return false; }, std::unique_ptr<Cards>(cards));
  }
  void configure(const guestcomm::Network& wanted) {
    configurator->configure(wanted, {},
                            [this](const Outcome& outcome) { outcomes.push_back(outcome); });
  }
  void wait_for_outcome() {
    for (int i = 0; i < 200 && outcomes.empty(); ++i) loop.run_once(10ms);
    REQUIRE(outcomes.size() == 1);
  }
  std::string failure() const {
    const auto* error = std::get_if<Error>(&outcomes.at(0));
    return error != nullptr ? error->what() : "none";
  }
};

}  // namespace

TEST_CASE("configure_network: with every card there the answer comes at once", "[agent][network]") {
  ConfiguratorBench bench;
  bench.cards->add("eth7", late_device);
  bench.configure(one_link(late_device));
  REQUIRE(bench.outcomes.size() == 1);
  CHECK(bench.failure() == "none");
  CHECK(bench.cards->rescanned == 0);
  CHECK_THAT(ip("-o link show eth0"), ContainsSubstring("mtu 1400"));
}

TEST_CASE("configure_network: a card that comes later is waited for, in the loop",
          "[agent][network]") {
  ConfiguratorBench bench;
  bench.configure(one_link(late_device));
  CHECK(bench.cards->rescanned == 1);
  bench.loop.run_once(20ms);
  CHECK(bench.outcomes.empty());
  // Meanwhile the network is this one's.
  CHECK_THROWS_WITH(bench.configure(one_link(late_device)), "network: already being configured");
  CHECK(bench.outcomes.empty());
  bench.cards->add("eth7", late_device);
  bench.wait_for_outcome();
  CHECK(bench.failure() == "none");
  CHECK_THAT(ip("-o link show eth0"), ContainsSubstring("02:42:0a:00:00:02"));
  bench.outcomes.clear();
  bench.configure(one_link(late_device));
  CHECK(bench.outcomes.size() == 1);
}

TEST_CASE("configure_network: a failure is thrown at once or is the answer later, never both",
          "[agent][network]") {
  ConfiguratorBench bench;
  guestcomm::Network wrong = one_link(late_device);
  wrong.links[0].addresses.push_back({"10.0.0.300/24", "", "", ""});
  SECTION("before the answer") {
    bench.cards->add("eth7", late_device);
    CHECK_THROWS_WITH(bench.configure(wrong),
                      "network: link eth0: \"10.0.0.300/24\" is not an address");
    CHECK(bench.outcomes.empty());
  }
  SECTION("once its card has come") {
    bench.configure(wrong);
    bench.cards->add("eth7", late_device);
    bench.wait_for_outcome();
    CHECK(bench.failure() == "network: link eth0: \"10.0.0.300/24\" is not an address");
  }
  SECTION("the bus cannot be asked to look again") {
    bench.cards->is_broken = true;
    CHECK_THROWS_WITH(bench.configure(guestcomm::Network{}), "no bus");
    CHECK(bench.outcomes.empty());
    bench.cards->is_broken = false;
    bench.cards->add("eth7", late_device);
  }
  SECTION("another exception while it waits") {
    bench.configure(one_link(late_device));
    bench.cards->is_broken = true;
    bench.wait_for_outcome();
    CHECK(bench.failure() == "no bus");
    CHECK(std::get<Error>(bench.outcomes[0]).code() == Errc::internal);
    bench.cards->is_broken = false;
    bench.cards->add("eth7", late_device);
  }
  // None of them keeps the next one out.
  bench.outcomes.clear();
  bench.configure(one_link(late_device));
  CHECK(bench.outcomes.size() == 1);
}

TEST_CASE("configure_network: the end of the agent answers nobody", "[agent][network]") {
  ConfiguratorBench bench;
  bench.configure(one_link(late_device));
  bench.configurator.reset();
  for (int i = 0; i < 4; ++i) bench.loop.run_once(10ms);  // its timer would look at the cards
  CHECK(bench.outcomes.empty());
}

TEST_CASE("configure_network: the DNS relay comes and goes with the wanted network",
          "[agent][network]") {
  ConfiguratorBench bench;
  guestcomm::Network network;
  const auto listeners = [] { return read_file("/proc/thread-self/net/udp", 1u << 16); };
  constexpr const char* dns_address = "0B00007F:0035";  // 127.0.0.11, port 53
  network.has_dns = true;
  bench.configure(network);
  CHECK_THAT(listeners(), ContainsSubstring(dns_address));
  bench.configure(network);  // the one that is there stays
  CHECK_THAT(listeners(), ContainsSubstring(dns_address));
  network.has_dns = false;
  bench.configure(network);
  CHECK_THAT(listeners(), !ContainsSubstring(dns_address));
  CHECK(bench.outcomes.size() == 3);
  bench.configurator->answer_dns({});  // of a question before: nobody waits for it
}
