// SPDX-License-Identifier: Apache-2.0
#include "agent/stream/dns_relay.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <vector>

#include "test/loopback_namespace.hpp"

using namespace husk;
using namespace husk::agent;
using namespace std::chrono_literals;

namespace {

/// A process of the container that asks, connected to the relay.
class Asker {
 public:
  explicit Asker(int type) : socket_(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in relay{};
    relay.sin_family = AF_INET;
    relay.sin_port = htons(guestcomm::dns_port);
    ::inet_pton(AF_INET, guestcomm::dns_address, &relay.sin_addr);
    REQUIRE(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&relay), sizeof relay) == 0);
  }
  void send(const std::string& bytes) const {
    REQUIRE(::send(socket_.get(), bytes.data(), bytes.size(), 0) == std::ssize(bytes));
  }
  std::string receive() const {
    std::string bytes(guestcomm::max_dns_answer_bytes + 2, '\0');
    const ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return bytes;
  }
  bool is_closed() const {
    char byte = 0;
    return ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }
  std::string receive_all(std::size_t size) const {
    std::string bytes;
    while (bytes.size() < size) {
      const std::string more = receive();
      if (more.empty()) break;
      bytes += more;
    }
    return bytes;
  }

 private:
  UniqueFd socket_;
};

struct DnsBench {
  EventLoop loop;
  std::vector<guestcomm::DnsQuery> asked;
  bool has_host = true;
  DnsRelay relay{loop, [this](const guestcomm::DnsQuery& query) {
                   if (has_host) asked.push_back(query);
                   return has_host;
                 }};

  void run(std::size_t until_asked) {
    for (int i = 0; i < 200 && asked.size() < until_asked; ++i) loop.run_once(10ms);
  }
};

}  // namespace

TEST_CASE("the DNS relay carries datagrams to who is asked and back", "[agent][dns]") {
  test::in_loopback_namespace([] {
    DnsBench bench;
    const Asker one(SOCK_DGRAM), other(SOCK_DGRAM);
    one.send("question one");
    other.send("question two");
    bench.run(2);
    REQUIRE(bench.asked.size() == 2);
    CHECK(bench.asked[0].message == "question one");
    CHECK_FALSE(bench.asked[0].over_tcp);
    bench.relay.answer({bench.asked[1].number, "answer two"});
    bench.relay.answer({bench.asked[0].number, "answer one"});
    CHECK(one.receive() == "answer one");
    CHECK(other.receive() == "answer two");
    bench.relay.answer({bench.asked[0].number, "once more"});
    bench.relay.answer({4711, "nobody asked"});
    CHECK(one.receive().empty());
  });
}

TEST_CASE("the DNS relay answers over TCP, one question after the other", "[agent][dns]") {
  test::in_loopback_namespace([] {
    DnsBench bench;
    const Asker client(SOCK_STREAM);
    const std::string zero(1, '\0');
    client.send(zero +
                "\x05"
                "first" +
                zero);  // and the beginning of the next
    bench.run(1);
    REQUIRE(bench.asked.size() == 1);
    CHECK(bench.asked[0].message == "first");
    CHECK(bench.asked[0].over_tcp);
    client.send("\x06second");
    const std::string large(guestcomm::max_dns_answer_bytes, 'x');
    bench.relay.answer({bench.asked[0].number, large});
    CHECK(client.receive_all(large.size() + 2) == "\xff\xff" + large);
    bench.run(2);
    REQUIRE(bench.asked.size() == 2);
    CHECK(bench.asked[1].message == "second");
    bench.relay.answer({bench.asked[1].number, {}});  // there is no answer
    CHECK(client.is_closed());
  });
}

TEST_CASE("the DNS relay keeps within its bounds", "[agent][dns]") {
  test::in_loopback_namespace([] {
    DnsBench bench;
    const Asker asker(SOCK_DGRAM);
    SECTION("of what one question may hold") {
      asker.send(std::string(guestcomm::max_dns_query_bytes + 1, 'x'));
      const Asker client(SOCK_STREAM);
      client.send(std::string("\x20\x00", 2) + "too long");
      for (int i = 0; i < 20 && !client.is_closed(); ++i) bench.loop.run_once(10ms);
      CHECK(client.is_closed());
      CHECK(bench.asked.empty());
    }
    SECTION("of open questions, of which the oldest goes") {
      for (std::size_t i = 0; i <= DnsRelay::max_open; ++i) {
        asker.send("question " + std::to_string(i));
        bench.run(i + 1);
      }
      REQUIRE(bench.asked.size() == DnsRelay::max_open + 1);
      bench.relay.answer({bench.asked[0].number, "too late"});
      CHECK(asker.receive().empty());
      bench.relay.answer({bench.asked[1].number, "in time"});
      CHECK(asker.receive() == "in time");
    }
    SECTION("of connections") {
      std::vector<Asker> clients;
      for (std::size_t i = 0; i < DnsRelay::max_clients; ++i) clients.emplace_back(SOCK_STREAM);
      const Asker last(SOCK_STREAM);
      for (int i = 0; i < 200 && !last.is_closed(); ++i) bench.loop.run_once(10ms);
      CHECK(last.is_closed());
      CHECK_FALSE(clients.front().is_closed());
    }
    SECTION("while there is nobody to ask") {
      bench.has_host = false;
      const Asker client(SOCK_STREAM);
      client.send(std::string("\x00\x01x", 3));
      asker.send("question");
      for (int i = 0; i < 20 && !client.is_closed(); ++i) bench.loop.run_once(10ms);
      CHECK(client.is_closed());
    }
  });
}

TEST_CASE("the DNS relay says what it cannot have", "[agent][dns]") {
  test::in_loopback_namespace([] {
    DnsBench bench;
    try {
      DnsBench another;
      FAIL("two relays at one address");
    } catch (const Error& error) {
      CHECK(error.what() == std::string("DNS at 127.0.0.11: bind: address already in use"));
    }
  });
}
