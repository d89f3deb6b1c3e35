// SPDX-License-Identifier: Apache-2.0
#include "keeper/connection_server.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <stdexcept>
#include <string>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::keeper;

namespace {

/// A socket of the abstract namespace with a name of the kernel's choice, and who connects to it.
struct ConnectionBench {
  UniqueFd listener{
      check_sys(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")};
  sockaddr_un address{};
  socklen_t length = sizeof address;

  ConnectionBench() {
    address.sun_family = AF_UNIX;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listener.get(), any, sizeof(sa_family_t)) == 0);
    REQUIRE(::getsockname(listener.get(), any, &length) == 0);
    REQUIRE(::listen(listener.get(), 128) == 0);
  }
  UniqueFd connect() const {
    UniqueFd client{check_sys(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
    return client;
  }
};

/// As the keeper does, for a while.
void run(ConnectionServer& server, int turns) {
  for (int i = 0; i < turns; ++i) {
    std::vector<int> watched;
    server.add_to(watched);
    std::vector<pollfd> polled;
    for (const int fd : watched) polled.push_back({fd, POLLIN, 0});
    ::poll(polled.data(), polled.size(), 20);
    server.handle();
  }
}

std::string receive(const UniqueFd& client) {
  pollfd polled{client.get(), POLLIN, 0};
  if (::poll(&polled, 1, 3000) != 1) return "nothing";
  char letter = 0;
  return ::recv(client.get(), &letter, 1, 0) == 1 ? std::string(1, letter) : "end";
}

void echo(const UniqueFd& connection) {
  char letter = 0;
  while (::recv(connection.get(), &letter, 1, 0) == 1) ::send(connection.get(), &letter, 1, 0);
}

}  // namespace

TEST_CASE("ConnectionServer: connections are served at once, each by itself", "[keeper]") {
  ConnectionBench bench;
  ConnectionServer server(std::move(bench.listener), [](const UniqueFd& c) { echo(c); });
  const UniqueFd one = bench.connect(), other = bench.connect();
  run(server, 3);
  ::send(other.get(), "b", 1, 0);
  CHECK(receive(other) == "b");
  ::send(one.get(), "a", 1, 0);
  CHECK(receive(one) == "a");
}

TEST_CASE("ConnectionServer: what fails ends that connection", "[keeper]") {
  ConnectionBench bench;
  ConnectionServer server(std::move(bench.listener),
                          [](const UniqueFd&) { throw std::runtime_error("no guest"); });
  const UniqueFd client = bench.connect();
  run(server, 3);
  CHECK(receive(client) == "end");
  const UniqueFd next = bench.connect();
  run(server, 3);
  CHECK(receive(next) == "end");
}

TEST_CASE("ConnectionServer: one too many waits until another has ended", "[keeper]") {
  ConnectionBench bench;
  ConnectionServer server(std::move(bench.listener), [](const UniqueFd& c) { echo(c); });
  std::vector<UniqueFd> clients;
  for (std::size_t i = 0; i < ConnectionServer::max_children; ++i)
    clients.push_back(bench.connect());
  run(server, static_cast<int>(clients.size()) + 5);
  const UniqueFd last = bench.connect();
  ::send(last.get(), "z", 1, 0);
  run(server, 3);
  std::vector<int> watched;
  server.add_to(watched);
  CHECK(watched.size() == clients.size());      // its listener is not among them
  ::shutdown(clients.back().get(), SHUT_RDWR);  // by close() alone not: the children have copies
  run(server, 5);
  CHECK(receive(last) == "z");
}

TEST_CASE("ConnectionServer: its end is its connections'", "[keeper]") {
  ConnectionBench bench;
  UniqueFd client;
  {
    ConnectionServer server(std::move(bench.listener), [](const UniqueFd& c) { echo(c); });
    client = bench.connect();
    run(server, 3);
  }
  CHECK(receive(client) == "end");
}

TEST_CASE("ConnectionServer: without a listener there is nobody to serve", "[keeper]") {
  ConnectionServer server(UniqueFd{}, {});
  std::vector<int> watched;
  server.add_to(watched);
  CHECK(watched.empty());
  server.handle();
}
