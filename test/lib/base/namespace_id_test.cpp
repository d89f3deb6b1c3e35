// SPDX-License-Identifier: Apache-2.0
#include "lib/base/namespace_id.hpp"

#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;

TEST_CASE("namespace id: that of a process by whatever path, and of one type", "[base]") {
  const ProcessIdentity self = identify_process(::getpid()).value();
  for (const std::string type : {"pid", "ipc", "uts", "net"}) {
    CAPTURE(type);
    const NamespaceId id = namespace_at("/proc/thread-self/ns/" + type, type);
    CHECK(id.inode != 0);
    CHECK(namespace_of(self, type) == id);
    CHECK(is_the_hosts(id, type));
    CHECK(to_string(id) == std::to_string(id.device) + ":" + std::to_string(id.inode));
  }
  CHECK_THROWS_WITH(namespace_at("/proc/self/ns/uts", "ipc"),
                    "/proc/self/ns/uts: is not a namespace of type ipc");
  CHECK_FALSE(namespace_of(self, "ipc") == namespace_of(self, "uts"));
}

TEST_CASE("namespace id: a path that is none is refused, and a FIFO does not block", "[base]") {
  const test::Scratch scratch;
  const auto fifo = scratch.path() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK_THROWS_WITH(namespace_at(fifo, "pid"), EndsWith("fifo: is not a namespace of type pid"));
  CHECK_THROWS_WITH(namespace_at(scratch.path(), "pid"),
                    EndsWith(": is not a namespace of type pid"));
  CHECK_THROWS_WITH(namespace_at(scratch.path() / "none", "pid"), ContainsSubstring("none"));
}

TEST_CASE("namespace id: a process that has ended has none, whoever has its pid now", "[base]") {
  ProcessIdentity other = identify_process(::getpid()).value();
  ++other.start_time;
  CHECK_THROWS_WITH(namespace_of(other, "uts"), ContainsSubstring("has ended"));
  CHECK_THROWS_WITH(namespace_of({.pid = 1 << 30, .start_time = 1}, "uts"),
                    ContainsSubstring("has ended"));
}

TEST_CASE("namespace id: the namespace of husk's own counts as the host's", "[base][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const pid_t child = ::fork();
  if (child == 0) {
    const NamespaceId before = namespace_at("/proc/self/ns/uts", "uts");
    if (::unshare(CLONE_NEWUTS) != 0) ::_exit(2);
    const NamespaceId own = namespace_at("/proc/self/ns/uts", "uts");
    if (own == before || !has_process(own, "uts") || !has_process(before, "uts")) ::_exit(3);
    if (has_process({.device = own.device, .inode = 1}, "uts")) ::_exit(5);
    ::_exit(is_the_hosts(own, "uts") ? 0 : 4);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
}
