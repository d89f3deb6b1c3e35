// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/open_files.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>

#include "lib/base/descriptors.hpp"
#include "lib/base/files.hpp"

using namespace husk;
using namespace husk::runtime;

namespace {

constexpr rlim_t limit = 150;

/// In a child: takes the limit, says so, and returns the hard limit that it has when `end` is closed.
rlim_t wait_with_limit(rlim_t before, int ready, int end) {
  const rlimit wanted{before, before};
  char byte = 0;
  if (::setrlimit(RLIMIT_NOFILE, &wanted) != 0) ::_exit(2);
  write_all(ready, "x");
  (void)!::read(end, &byte, 1);
  rlimit own{};
  ::getrlimit(RLIMIT_NOFILE, &own);
  return own.rlim_cur == own.rlim_max ? own.rlim_max : 0;
}

/// Calls limit_open_files() on a process that has the limit `outer`, with a child that has `inner`; both
/// must end with the limits that were expected of them.
int status_after(rlim_t outer, rlim_t inner) {
  Pipe end = make_pipe(), ready = make_pipe();
  const pid_t parent = ::fork();
  if (parent == 0) {
    end.write_end.reset();
    const pid_t child = ::fork();
    const rlim_t before = child == 0 ? inner : outer;
    const rlim_t after = wait_with_limit(before, ready.write_end.get(), end.read_end.get());
    int status = 0;
    if (child != 0) ::waitpid(child, &status, 0);
    ::_exit(status == 0 && after == std::min(before, limit) ? 0 : 1);
  }
  ready.write_end.reset();
  char byte = 0;
  for (int process = 0; process < 2; ++process) (void)!::read(ready.read_end.get(), &byte, 1);
  limit_open_files(parent, limit);
  end.write_end.reset();
  int status = 0;
  ::waitpid(parent, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

}  // namespace

TEST_CASE("open_files_limit: an eighth of the host's file table, within bounds", "[runtime]") {
  CHECK(open_files_limit(0) == 65536);
  CHECK(open_files_limit(100'000) == 65536);
  CHECK(open_files_limit(2'400'000) == 300'000);
  CHECK(open_files_limit(INT64_MAX) == 1'000'000);  // systemd's
}

TEST_CASE("limit_open_files: holds for the process and its child", "[runtime]") {
  CHECK(status_after(200, 200) == 0);
  CHECK(status_after(100, 200) == 0);
}

TEST_CASE("limit_open_files: leaves a lower limit", "[runtime]") {
  CHECK(status_after(200, 100) == 0);
}
