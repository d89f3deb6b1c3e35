// SPDX-License-Identifier: Apache-2.0
#include "lib/network/namespace.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <csignal>

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
  CHECK(NetworkNamespace::of_process(*identify_process(::getpid())) == NetworkNamespace::current());
}

TEST_CASE("network namespace: that of another process with the same pid is not taken") {
  ProcessIdentity process = *identify_process(::getpid());
  ++process.start_time;
  try {
    (void)NetworkNamespace::of_process(process);
    FAIL("nothing was thrown");
  } catch (const Error& e) {
    CHECK(e.code() == Errc::peer_lost);
    CHECK(e.what() == "process " + std::to_string(::getpid()) + ": has ended");
  }
  const pid_t child = ::fork();
  if (child == 0) ::pause();
  const ProcessIdentity ended = *identify_process(child);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK_THROWS_MATCHES(NetworkNamespace::of_process(ended), Error,
                       Message("process " + std::to_string(child) + ": has ended"));
}

TEST_CASE("network namespace: the host's is known, also from another") {
  const test::TestNamespace n;
  const NetworkNamespace hosts = NetworkNamespace::current();
  CHECK(hosts.is_the_hosts());
  CHECK_FALSE(n.get().is_the_hosts());
  std::error_code hidden;
  const bool is_of_first = std::filesystem::read_symlink("/proc/1/ns/net", hidden) ==
                           std::filesystem::read_symlink("/proc/self/ns/net");
  const InNetworkNamespace inside(n.get());
  CHECK(n.get().is_the_hosts());  // as husk below `ip netns exec` has to see it
  CHECK(hosts.is_the_hosts() == is_of_first);
}

TEST_CASE("network namespace: a path to something else is refused by name") {
  CHECK_THROWS_MATCHES(NetworkNamespace::of_path("/proc/self/ns/mnt"), Error,
                       Message("/proc/self/ns/mnt: not a network namespace"));
  CHECK_THROWS_MATCHES(NetworkNamespace::of_path("/etc/passwd"), Error,
                       Message("/etc/passwd: not a network namespace"));
  CHECK_THROWS_MATCHES(NetworkNamespace::of_path("/nowhere/net"), Error,
                       Message("/nowhere/net: no such file or directory"));
}
