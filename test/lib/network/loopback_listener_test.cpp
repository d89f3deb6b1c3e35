// SPDX-License-Identifier: Apache-2.0
#include "lib/network/loopback_listener.hpp"

#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include "lib/base/error.hpp"
#include "test/lib/network/test_namespace.hpp"

using namespace husk;
using namespace husk::network;

namespace {

const std::string connect_to = "timeout 5 bash -c 'exec 3<>/dev/tcp/";

/// What arrived, if anything did.
std::optional<std::uint16_t> accept_one(const LoopbackListener& listener) {
  const UniqueFd connection{::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  if (!connection) return std::nullopt;
  return wanted_port(connection.get());
}

}  // namespace

TEST_CASE("loopback listener: every port of 127.0.0.1 and ::1 is its own", "[loopback]") {
  const test::TestNamespace n;
  n.run("ip link set lo up");
  const LoopbackListener listener = listen_on_loopback(n.get());
  n.run(connect_to + "127.0.0.1/80'");
  CHECK(accept_one(listener) == 80);
  n.run(connect_to + "::1/65535'");
  CHECK(accept_one(listener) == 65535);
  CHECK(accept_one(listener) == std::nullopt);
}

TEST_CASE("loopback listener: may be made before lo is up", "[loopback]") {
  const test::TestNamespace n;
  const LoopbackListener listener = listen_on_loopback(n.get());
  n.run("ip link set lo up");
  n.run(connect_to + "127.0.0.1/8080'");
  CHECK(accept_one(listener) == 8080);
}

TEST_CASE("loopback listener: other addresses and UDP are not its own", "[loopback]") {
  const test::TestNamespace n;
  n.run("ip link set lo up && ip addr add 192.0.2.1/32 dev lo");
  const LoopbackListener listener = listen_on_loopback(n.get());
  for (const char* other : {"127.0.0.11", "127.0.0.2", "192.0.2.1"})
    CHECK_FALSE(n.can(connect_to + other + "/80'"));
  n.run("bash -c 'exec 3<>/dev/udp/127.0.0.1/80; echo >&3'");
  CHECK(accept_one(listener) == std::nullopt);
}

TEST_CASE("loopback listener: once it is closed the namespace is as before", "[loopback]") {
  const test::TestNamespace n;
  n.run("ip link set lo up");
  LoopbackListener listener = listen_on_loopback(n.get());
  SECTION("both parts") {
    listener = {};
    CHECK_FALSE(n.can(connect_to + "127.0.0.1/80'"));
  }
  SECTION("the steering only") {
    listener.steering.reset();
    CHECK_FALSE(n.can(connect_to + "127.0.0.1/80'"));
  }
  SECTION("the socket only") {
    listener.socket.reset();
    CHECK_FALSE(n.can(connect_to + "127.0.0.1/80'"));
  }
  const LoopbackListener again = listen_on_loopback(n.get());
  CHECK(n.can(connect_to + "127.0.0.1/80'"));
}

TEST_CASE("loopback listener: the namespace that one is in is refused", "[loopback]") {
  CHECK_THROWS_MATCHES(listen_on_loopback(NetworkNamespace::of_path("/proc/self/ns/net")), Error,
                       Catch::Matchers::Message(
                           "loopback of network namespace /proc/self/ns/net: belongs to the host"));
}
