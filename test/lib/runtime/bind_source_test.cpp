// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/bind_source.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

#include "lib/base/error.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
using husk::test::Scratch;
namespace fs = std::filesystem;

namespace {
/// A file system whose server takes no request, as a dead network's. Ends those who wait when it
/// goes.
struct DeadFilesystem : Scratch {
  DeadFilesystem() : server(::open("/dev/fuse", O_RDWR | O_CLOEXEC)) {
    const std::string options =
        "fd=" + std::to_string(server.get()) + ",rootmode=40000,user_id=0,group_id=0";
    fs::create_directory(path() / "dead");
    mounted = server && ::mount("dead", (path() / "dead").c_str(), "fuse", 0, options.c_str()) == 0;
  }
  ~DeadFilesystem() {
    server.reset();
    ::umount2((path() / "dead").c_str(), MNT_DETACH);
  }
  UniqueFd server;
  bool mounted = false;
};
}  // namespace

TEST_CASE("open_bind_source: tells a directory from a file", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Scratch scratch;
  std::ofstream(scratch.path() / "file") << "x";
  using namespace std::chrono_literals;
  CHECK(open_bind_source({.path = scratch.path()}, 10s).directory);
  CHECK_FALSE(open_bind_source({scratch.path() / "file", true}, 10s).directory);
  CHECK_THROWS_WITH(open_bind_source({scratch.path() / "none", true}, 10s),
                    ContainsSubstring("/none"));
}

TEST_CASE("open_bind_source: a file system that does not answer is an error in time",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const DeadFilesystem dead;
  if (!dead.mounted) SKIP("FUSE is not to be had here");
  using namespace std::chrono_literals;
  const fs::path source = dead.path() / "dead/sub";
  const auto begin = std::chrono::steady_clock::now();
  CHECK_THROWS_WITH(open_bind_source({source, true}, 1s),
                    source.string() + ": the file system does not respond");
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("open_bind_source: knows what the source's mount restricts", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  using namespace std::chrono_literals;
  const Scratch scratch;
  const fs::path plain = scratch.path() / "plain", restricted = scratch.path() / "restricted";
  for (const fs::path& place : {plain, restricted}) fs::create_directory(place);
  REQUIRE(::mount("plain", plain.c_str(), "tmpfs", 0, nullptr) == 0);
  REQUIRE(::mount("restricted", restricted.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                  nullptr) == 0);
  fs::create_directory(restricted / "below");
  fs::create_directory_symlink(restricted / "below", plain / "link");
  const auto options_of = [](const fs::path& path) {
    return open_bind_source({.path = path}, 10s).options;
  };
  const std::vector<std::string> all{"nosuid", "nodev", "noexec"};
  CHECK(options_of(plain).empty());
  CHECK(options_of(restricted / "below") == all);
  CHECK(options_of(plain / "link") == all);
  for (const fs::path& place : {plain, restricted}) ::umount2(place.c_str(), MNT_DETACH);
}
