// SPDX-License-Identifier: Apache-2.0
#include "lib/setup/changed_file.hpp"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk::setup;
namespace fs = std::filesystem;

namespace {

std::string content(const fs::path& file) { return husk::read_file(file, 1000); }

}  // namespace

TEST_CASE("setup: a file that is not there is made, with its directory") {
  const husk::test::Scratch scratch;
  const fs::path file = scratch.path() / "docker" / "daemon.json";
  CHECK(read_or_empty(file).empty());
  CHECK(change_file(file, "", "new").empty());
  CHECK(content(file) == "new");
}

TEST_CASE("setup: the file as it was is kept, however often the file is changed") {
  const husk::test::Scratch scratch;
  const fs::path file = scratch.path() / "daemon.json";
  std::ofstream(file) << "first";
  fs::permissions(file, fs::perms(0664));
  CHECK(change_file(file, "first", "second") == scratch.path() / "daemon.json.before-husk");
  CHECK(change_file(file, "second", "third") == scratch.path() / "daemon.json.before-husk.2");
  CHECK(content(file) == "third");
  CHECK(content(scratch.path() / "daemon.json.before-husk") == "first");
  CHECK(content(scratch.path() / "daemon.json.before-husk.2") == "second");
  CHECK(fs::status(file).permissions() == fs::perms(0664));
  CHECK(fs::status(scratch.path() / "daemon.json.before-husk").permissions() == fs::perms(0664));
}

TEST_CASE("setup: a link stays, and what it leads to is changed") {
  const husk::test::Scratch scratch;
  fs::create_directory(scratch.path() / "real");
  std::ofstream(scratch.path() / "real" / "file") << "first";
  fs::create_symlink("real/file", scratch.path() / "daemon.json");
  CHECK(change_file(scratch.path() / "daemon.json", "first", "second") ==
        fs::canonical(scratch.path()) / "real" / "file.before-husk");
  CHECK(fs::is_symlink(scratch.path() / "daemon.json"));
  CHECK(content(scratch.path() / "real" / "file") == "second");
}

TEST_CASE("setup: a place that cannot be written to is an error, and nothing is left") {
  CHECK_THROWS_AS(change_file("/proc/husk/daemon.json", "", "x"), husk::Error);
  CHECK_THROWS_AS(change_file("/proc/version", read_or_empty("/proc/version"), "x"), husk::Error);
  CHECK_THROWS_AS(read_or_empty("/proc"), husk::Error);
}

TEST_CASE("setup: what another one wrote meanwhile is not overwritten") {
  const husk::test::Scratch scratch;
  const fs::path file = scratch.path() / "daemon.json";
  std::ofstream(file) << "of another one";
  CHECK_THROWS_AS(change_file(file, "as it was", "mine"), husk::Error);
  CHECK(content(file) == "of another one");
  CHECK(std::distance(fs::directory_iterator(scratch.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("setup: a link that leads nowhere is refused, and stays") {
  const husk::test::Scratch scratch;
  const fs::path file = scratch.path() / "daemon.json";
  fs::create_symlink("missing/daemon.json", file);
  CHECK_THROWS_AS(change_file(file, "", "mine"), husk::Error);
  CHECK(fs::is_symlink(file));
  CHECK(std::distance(fs::directory_iterator(scratch.path()), fs::directory_iterator()) == 1);
}
