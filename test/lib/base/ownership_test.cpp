// SPDX-License-Identifier: Apache-2.0
#include "lib/base/ownership.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;

TEST_CASE("check_own_file: what others may write to is refused by name", "[base]") {
  const test::Scratch scratch;
  const auto path = scratch.path() / "file";
  std::ofstream(path) << "x";
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  const mode_t mode = GENERATE(0600U, 0644U, 0755U, 0620U, 0602U, 01777U);
  REQUIRE(::fchmod(file.get(), mode) == 0);
  CAPTURE(mode);
  if ((mode & 022) == 0) {
    CHECK_NOTHROW(check_own_file(file.get(), path));
  } else {
    CHECK_THROWS_WITH(check_own_file(file.get(), path),
                      path.string() + ": other users may write to it");
  }
}

TEST_CASE("check_own_file: another user's file is refused by name", "[base][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const test::Scratch scratch;
  const UniqueFd file{::open(scratch.path().c_str(), O_RDONLY | O_CLOEXEC)};
  REQUIRE(::fchown(file.get(), 1000, 0) == 0);
  CHECK_THROWS_WITH(check_own_file(file.get(), "/a/b"),
                    "/a/b: belongs to user 1000, not to user 0");
}
