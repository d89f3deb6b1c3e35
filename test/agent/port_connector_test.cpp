// SPDX-License-Identifier: Apache-2.0
#include "agent/stream/port_connector.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <string>

#include "lib/base/error.hpp"
#include "test/loopback_namespace.hpp"

using namespace husk;
using namespace husk::agent;
using namespace std::chrono_literals;

namespace {

constexpr std::uint16_t port = 7000;

struct StreamPair {
  UniqueFd host, guest;
};
StreamPair make_stream() {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

UniqueFd listen_at(int family) {
  UniqueFd socket{check_sys(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  const int on = 1;
  sockaddr_in6 ipv6{};
  sockaddr_in ipv4{};
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_addr = in6addr_loopback;
  ipv4.sin_family = AF_INET;
  ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ipv4.sin_port = ipv6.sin6_port = htons(port);
  if (family == AF_INET6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  REQUIRE((family == AF_INET
               ? ::bind(socket.get(), reinterpret_cast<sockaddr*>(&ipv4), sizeof ipv4)
               : ::bind(socket.get(), reinterpret_cast<sockaddr*>(&ipv6), sizeof ipv6)) == 0);
  REQUIRE(::listen(socket.get(), 1) == 0);
  return socket;
}

/// The host's ends of one forwarded connection, and what was answered.
struct Host {
  StreamPair sent = make_stream(), received = make_stream();
  std::optional<std::string> answer;

  void connect(PortConnector& ports) {
    ports.connect(port, {std::move(sent.guest), std::move(received.guest)},
                  [this](const Outcome& outcome) {
                    const auto* error = std::get_if<Error>(&outcome);
                    answer = error != nullptr ? error->what() : "done";
                  });
  }
};

struct PortBench {
  EventLoop loop;
  PortConnector ports{loop};

  template <class Done>
  void run(Done done) {
    for (int i = 0; i < 200 && !done(); ++i) loop.run_once(10ms);
  }
  std::string receive(const UniqueFd& socket, std::size_t size) {
    std::string bytes;
    run([&] {
      std::string more(size, '\0');
      const ssize_t count = ::recv(socket.get(), more.data(), more.size(), MSG_DONTWAIT);
      if (count > 0) bytes += more.substr(0, static_cast<std::size_t>(count));
      if (count == 0) bytes += "<end>";
      return bytes.size() >= size;
    });
    return bytes;
  }
};

UniqueFd accept_from(const UniqueFd& listener) {
  return UniqueFd{check_sys(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept")};
}

/// One that was forwarded to a server.
struct Forwarded {
  PortBench bench;
  UniqueFd listener;
  Host host;
  UniqueFd server;

  explicit Forwarded(int family) : listener(listen_at(family)) {
    host.connect(bench.ports);
    bench.run([&] { return host.answer.has_value(); });
    REQUIRE(host.answer.value_or("") == "done");
    server = accept_from(listener);
  }
};

}  // namespace

TEST_CASE("port connector: carries both directions, and the end of each", "[agent][ports]") {
  test::in_loopback_namespace([] {
    Forwarded forwarded(AF_INET);
    auto& [bench, listener, host, server] = forwarded;
    ::send(host.sent.host.get(), "question", 8, 0);
    CHECK(bench.receive(server, 8) == "question");
    host.sent.host.reset();
    CHECK(bench.receive(server, 1) == "<end>");
    ::send(server.get(), "answer", 6, 0);  // the other half is still open
    CHECK(bench.receive(host.received.host, 6) == "answer");
    ::shutdown(server.get(), SHUT_WR);
    CHECK(bench.receive(host.received.host, 1) == "<end>");
  });
}

TEST_CASE("port connector: IPv6 where nobody listens on IPv4", "[agent][ports]") {
  test::in_loopback_namespace([] {
    Forwarded forwarded(AF_INET6);
    auto& [bench, listener, host, server] = forwarded;
    ::send(server.get(), "x", 1, 0);
    CHECK(bench.receive(host.received.host, 1) == "x");
  });
}

TEST_CASE("port connector: nobody listens", "[agent][ports]") {
  test::in_loopback_namespace([] {
    PortBench bench;
    Host host;
    host.connect(bench.ports);
    bench.run([&] { return host.answer.has_value(); });
    CHECK(host.answer == "port 7000: connection refused");
    CHECK(bench.receive(host.received.host, 1) == "<end>");
    CHECK(bench.receive(host.sent.host, 1) == "<end>");
  });
}

TEST_CASE("port connector: a side that breaks ends the other", "[agent][ports]") {
  test::in_loopback_namespace([] {
    Forwarded forwarded(AF_INET);
    auto& [bench, listener, host, server] = forwarded;
    SECTION("the container's") {
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      ::setsockopt(server.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      server.reset();
      CHECK(bench.receive(host.received.host, 1) == "<end>");
      CHECK(bench.receive(host.sent.host, 1) == "<end>");
    }
    SECTION("the host's") {
      host.sent.host.reset();
      host.received.host.reset();
      CHECK(bench.receive(server, 1) == "<end>");
    }
  });
}

TEST_CASE("port connector: keeps within its bound, and frees what ended", "[agent][ports]") {
  test::in_loopback_namespace([] {
    PortBench bench;
    for (int round = 0; round < 2; ++round) {
      std::vector<std::unique_ptr<Host>> hosts;
      // Nobody listens: they are there until the loop has had its turn.
      for (std::size_t i = 0; i < PortConnector::max_connections; ++i) {
        Host& host = *hosts.emplace_back(std::make_unique<Host>());
        host.sent.host.reset();  // a process may have 1024 descriptors
        host.received.host.reset();
        host.connect(bench.ports);
      }
      Host one_more;
      CHECK_THROWS_AS(one_more.connect(bench.ports), Error);
      for (std::size_t i = 0; i < 2 * hosts.size(); ++i) bench.loop.run_once(1ms);  // an event each
      for (const auto& host : hosts)
        CHECK(host->answer.value_or("") == "port 7000: connection refused");
    }
  });
}
