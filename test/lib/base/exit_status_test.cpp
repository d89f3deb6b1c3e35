// SPDX-License-Identifier: Apache-2.0
#include "lib/base/exit_status.hpp"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>

using namespace husk;

namespace {

template <class Body>
int status_of(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(99);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return exit_status(status);
}

}  // namespace

TEST_CASE("exit_status: the code, or 128 and the signal", "[base]") {
  CHECK(status_of([] { ::_exit(0); }) == 0);
  CHECK(status_of([] { ::_exit(7); }) == 7);
  CHECK(status_of([] { ::_exit(255); }) == 255);
  CHECK(status_of([] { ::kill(::getpid(), SIGKILL); }) == 137);
}
