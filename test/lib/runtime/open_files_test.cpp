// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/open_files.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <cstdint>

#include "lib/base/descriptors.hpp"
#include "lib/base/files.hpp"

using namespace husk;
using namespace husk::runtime;

TEST_CASE("open_files_limit: an eighth of the host's file table, within bounds", "[runtime]") {
  CHECK(open_files_limit(0) == 65536);
  CHECK(open_files_limit(100'000) == 65536);
  CHECK(open_files_limit(2'400'000) == 300'000);
  CHECK(open_files_limit(INT64_MAX) == 1'000'000);  // systemd's
}

// In children: nobody can raise the limits of this process again.
TEST_CASE("limit_open_files: holds for the process and its child, and never raises", "[runtime]") {
  Pipe end = make_pipe(), ready = make_pipe();
  const pid_t parent = ::fork();
  if (parent == 0) {
    const rlimit high{2'000'000, 2'000'000}, low{100, 200};
    ::setrlimit(RLIMIT_NOFILE, &high);  // where this test may; else the limit is lower already
    end.write_end.reset();
    const pid_t child = ::fork();
    if (child == 0) ::setrlimit(RLIMIT_NOFILE, &low);
    char byte = 0;
    write_all(ready.write_end.get(), child == 0 ? "c" : "p");
    (void)!::read(end.read_end.get(), &byte, 1);
    rlimit own{};
    ::getrlimit(RLIMIT_NOFILE, &own);
    if (child == 0) ::_exit(own.rlim_cur == 100 && own.rlim_max == 200 ? 0 : 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    ::_exit(own.rlim_max <= 1'000'000 && own.rlim_cur <= own.rlim_max && status == 0 ? 0 : 1);
  }
  char both[2];
  for (char& byte : both) REQUIRE(::read(ready.read_end.get(), &byte, 1) == 1);
  CHECK_NOTHROW(limit_open_files(parent));
  end.write_end.reset();
  int status = 0;
  ::waitpid(parent, &status, 0);
  CHECK(status == 0);
}
