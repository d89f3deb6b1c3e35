// SPDX-License-Identifier: Apache-2.0
#include "lib/base/cancellation.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <functional>
#include <stdexcept>

#include "lib/base/detach.hpp"
#include "lib/base/directory_lock.hpp"
#include "lib/base/error.hpp"
#include "lib/base/exit_status.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;

namespace {

/// In a child, since signals stay blocked. Its exit status; 128 + signal if one ended it.
int status_of(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_DFL);  // not Catch's
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return exit_status(status);
}

bool is_pending() {
  pollfd polled{cancellation_fd(), POLLIN, 0};
  return ::poll(&polled, 1, 0) == 1;
}

bool is_thrown() {
  try {
    throw_if_cancelled();
  } catch (const Error& e) {
    return e.sys_errno() == ECANCELED;
  }
  return false;
}

}  // namespace

TEST_CASE("cancellation: a detached process has none", "[base]") {
  CHECK(status_of([] {
          const Cancellation cancellation;
          const int before = cancellation_fd();
          detach_process({});
          return before >= 0 && cancellation_fd() == -1 && !is_thrown() ? 0 : 1;
        }) == 0);
}

TEST_CASE("cancellation: a signal is thrown, once", "[base]") {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    CAPTURE(signal);
    CHECK(status_of([&] {
            const Cancellation cancellation;
            if (is_pending() || is_thrown() || cancelled_by()) return 1;
            ::raise(signal);
            if (!is_pending() || !is_thrown()) return 2;
            ::raise(signal);  // must not disturb the undoing
            if (is_pending() || is_thrown()) return 3;
            return cancelled_by() == signal ? 0 : 4;
          }) == 0);
  }
}

TEST_CASE("cancellation: waiting for a lock is cancelled", "[base]") {
  const test::Scratch scratch;
  const auto held = DirectoryLock::lock(scratch.path(), std::chrono::seconds(1), "it");
  REQUIRE(held);
  CHECK(status_of([&] {
          const Cancellation cancellation;
          ::raise(SIGTERM);
          try {
            DirectoryLock::lock(scratch.path(), std::chrono::seconds(10), "it");
          } catch (const Error& e) {
            return e.sys_errno() == ECANCELED ? 0 : 2;
          }
          return 1;
        }) == 0);
}

TEST_CASE("cancellation: what another error undoes is not disturbed", "[base]") {
  struct Undoing {
    int& status;
    ~Undoing() {
      ::raise(SIGTERM);
      if (is_pending() || is_thrown()) status = 1;
    }
  };
  CHECK(status_of([] {
          const Cancellation cancellation;
          int status = 0;
          try {
            const Undoing undoing{status};
            throw std::runtime_error("another error");
          } catch (const std::runtime_error&) {
            return status != 0 || !is_pending() ? 1 : 0;
          }
          return 2;
        }) == 0);
}

TEST_CASE("cancellation: what a handler undoes is not disturbed either", "[base]") {
  CHECK(status_of([] {
          const Cancellation cancellation;
          ::raise(SIGTERM);
          {
            const Undoing undoing;
            if (is_pending() || is_thrown()) return 1;
          }
          return is_pending() && is_thrown() ? 0 : 2;
        }) == 0);
}

TEST_CASE("cancellation: what the caller ignores stays ignored", "[base]") {
  CHECK(status_of([] {
          ::signal(SIGHUP, SIG_IGN);
          const Cancellation cancellation;
          ::raise(SIGHUP);
          return is_pending() ? 1 : 0;
        }) == 0);
}

TEST_CASE("cancellation: without one, signals are what they were", "[base]") {
  CHECK(cancellation_fd() == -1);
  CHECK_FALSE(is_thrown());
  CHECK(status_of([] {
          ::raise(SIGTERM);
          return 0;
        }) == 128 + SIGTERM);
}

TEST_CASE("cancellation: the outermost one decides when it ends", "[base]") {
  CHECK(status_of([] {
          const Cancellation outer;
          { const Cancellation inner; }
          ::raise(SIGTERM);
          return is_thrown() ? 0 : 1;
        }) == 0);
}
