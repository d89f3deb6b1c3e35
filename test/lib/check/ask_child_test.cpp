// SPDX-License-Identifier: Apache-2.0
#include "lib/check/ask_child.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cerrno>
#include <thread>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"

using namespace husk;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using husk::check::ask_child;

TEST_CASE("check: a question to a child is answered from a process of its own") {
  CHECK(ask_child([] { return std::to_string(::getppid()); }, 10s) == std::to_string(::getpid()));
  CHECK(ask_child([] { return std::string(); }, 10s) == "");
  CHECK(ask_child([] { return std::string(60000, 'x'); }, 10s) == std::string(60000, 'x'));
}

TEST_CASE("check: a child that does not answer is killed in time") {
  const auto begin = std::chrono::steady_clock::now();
  const auto wait = [] {
    std::this_thread::sleep_for(60s);
    return std::string("late");
  };
  CHECK_FALSE(ask_child(wait, 200ms));
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
  CHECK((::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD));  // reaped
}

TEST_CASE("check: a child that ends without an answer is an error") {
  CHECK_THROWS_WITH(ask_child([]() -> std::string { throw Error(Errc::internal, "unheard"); }, 10s),
                    ContainsSubstring("ended without an answer"));
  CHECK_THROWS_WITH(ask_child([]() -> std::string { ::_exit(3); }, 10s),
                    ContainsSubstring("ended without an answer"));
  CHECK_THROWS_WITH(ask_child([] { return std::string(100000, 'x'); }, 10s),
                    ContainsSubstring("too long"));
}

// A child that is left behind would keep a pipe of the caller's open, and the reader of `husk check` waiting.
TEST_CASE("check: a child has no stream and no descriptor of the caller") {
  const Pipe pipe = make_pipe();
  const std::string own = "/proc/self/fd/" + std::to_string(pipe.write_end.get());
  const auto look = [&] {
    std::string streams;
    for (const char* const stream : {"0", "1", "2"}) {
      char name[64] = {};
      if (::readlink(("/proc/self/fd/" + std::string(stream)).c_str(), name, sizeof name - 1) > 0)
        streams += name;
    }
    return streams + (::access(own.c_str(), F_OK) == 0 ? " and a pipe" : "");
  };
  CHECK(ask_child(look, 10s) == "/dev/null/dev/null/dev/null");
}
