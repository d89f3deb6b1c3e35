// SPDX-License-Identifier: Apache-2.0
#include "lib/network/namespace.hpp"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include "lib/base/error.hpp"
#include "test/lib/network/test_namespace.hpp"

using namespace husk;
using namespace husk::network;
using Catch::Matchers::Message;

TEST_CASE("network namespace: one is in it for a scope, and back after it") {
  const test::TestNamespace n;
  const NetworkNamespace before = NetworkNamespace::current();
  REQUIRE_FALSE(before == n.get());
  {
    const InNetworkNamespace inside(n.get());
    CHECK(NetworkNamespace::current() == n.get());
  }
  CHECK(NetworkNamespace::current() == before);
}

TEST_CASE("network namespace: that of a process is found by its pid") {
  CHECK(NetworkNamespace::of_process(::getpid()) == NetworkNamespace::current());
}

TEST_CASE("network namespace: a path to something else is refused by name") {
  CHECK_THROWS_MATCHES(NetworkNamespace::of_path("/proc/self/ns/mnt"), Error,
                       Message("/proc/self/ns/mnt: not a network namespace"));
  CHECK_THROWS_MATCHES(NetworkNamespace::of_path("/etc/passwd"), Error,
                       Message("/etc/passwd: not a network namespace"));
  CHECK_THROWS_MATCHES(NetworkNamespace::of_path("/nowhere/net"), Error,
                       Message("/nowhere/net: no such file or directory"));
}
