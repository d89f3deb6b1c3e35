// SPDX-License-Identifier: Apache-2.0
#include "lib/base/directory_lock.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <chrono>
#include <fstream>
#include <thread>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr auto short_patience = 50ms;

Errc code_of_lock(const fs::path& directory) {
  try {
    DirectoryLock::lock(directory, short_patience, "it");
  } catch (const Error& e) {
    return e.code();
  }
  return Errc::internal;
}

}  // namespace

TEST_CASE("DirectoryLock: is released on destruction, without a trace", "[base]") {
  const test::Scratch scratch;
  for (int round = 0; round < 2; ++round) {
    const auto lock = DirectoryLock::lock(scratch.path(), short_patience, "it");
    REQUIRE(lock);
    CHECK(is_locked(scratch.path()));
  }
  CHECK_FALSE(is_locked(scratch.path()));
  CHECK(fs::is_empty(scratch.path()));
}

TEST_CASE("DirectoryLock: a lock that another holds is waited for, then an error", "[base]") {
  const test::Scratch scratch;
  const auto held = DirectoryLock::try_lock(scratch.path(), short_patience);
  REQUIRE(held);
  const auto start = std::chrono::steady_clock::now();
  CHECK_THROWS_WITH(DirectoryLock::lock(scratch.path(), short_patience, "the thing"),
                    "the thing is locked by another command");
  CHECK(std::chrono::steady_clock::now() - start >= short_patience);
  CHECK(code_of_lock(scratch.path()) == Errc::timed_out);
  CHECK_FALSE(DirectoryLock::try_lock(scratch.path(), short_patience));
  CHECK_FALSE(DirectoryLock::try_lock(scratch.path(), 0ms));
}

TEST_CASE("DirectoryLock: a lock that is released in time is had", "[base]") {
  const test::Scratch scratch;
  auto held = DirectoryLock::lock(scratch.path(), short_patience, "it");
  std::thread releasing([&] {
    std::this_thread::sleep_for(short_patience);
    held.reset();
  });
  CHECK(DirectoryLock::lock(scratch.path(), 10s, "it"));
  releasing.join();
}

TEST_CASE("DirectoryLock: a directory that does not exist is no error", "[base]") {
  const test::Scratch scratch;
  CHECK_FALSE(DirectoryLock::lock(scratch.path() / "none", short_patience, "it"));
  CHECK_FALSE(DirectoryLock::try_lock(scratch.path() / "none", short_patience));
  CHECK_FALSE(is_locked(scratch.path() / "none"));
  CHECK_FALSE(find_lock_holder(scratch.path() / "none"));
}

TEST_CASE("DirectoryLock: what is no directory cannot be locked", "[base]") {
  const test::Scratch scratch;
  std::ofstream(scratch.path() / "file") << "x";
  fs::create_directory(scratch.path() / "real");
  fs::create_directory_symlink("real", scratch.path() / "link");
  for (const char* wrong : {"file", "link"}) {
    CAPTURE(wrong);
    CHECK(code_of_lock(scratch.path() / wrong) == Errc::system);
  }
}

TEST_CASE("DirectoryLock: the lock of a removed directory is none of its successor", "[base]") {
  const test::Scratch scratch;
  const fs::path directory = scratch.path() / "d";
  fs::create_directory(directory);
  auto held = DirectoryLock::lock(directory, short_patience, "it");
  std::optional<DirectoryLock> next;
  std::thread waiting([&] { next = DirectoryLock::lock(directory, 10s, "it"); });
  std::this_thread::sleep_for(short_patience);
  bool has_successor = false;
  SECTION("removed") { fs::remove(directory); }
  SECTION("removed and made anew") {
    fs::rename(directory, scratch.path() / "old");
    fs::create_directory(directory);
    has_successor = true;
  }
  held.reset();
  waiting.join();
  CHECK(next.has_value() == has_successor);
  if (has_successor) CHECK(is_locked(directory));
}

TEST_CASE("find_lock_holder: the process that has the lock, while it has it", "[base]") {
  const test::Scratch scratch;
  CHECK_FALSE(find_lock_holder(scratch.path()));
  const Pipe ready = make_pipe();
  const pid_t holder = ::fork();
  if (holder == 0) {
    const auto lock = DirectoryLock::lock(scratch.path(), short_patience, "it");
    [[maybe_unused]] const auto written = ::write(ready.write_end.get(), "x", 1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  REQUIRE(::read(ready.read_end.get(), &byte, 1) == 1);
  const auto found = find_lock_holder(scratch.path());
  REQUIRE(found);
  CHECK(found->pid == holder);
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  CHECK_FALSE(find_lock_holder(scratch.path()));
  CHECK_FALSE(is_locked(scratch.path()));
}
