// SPDX-License-Identifier: Apache-2.0
#include "lib/base/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <fstream>

#include "lib/base/error.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using Catch::Matchers::ContainsSubstring;
using husk::test::Scratch;
namespace fs = std::filesystem;

namespace {

std::string content(const fs::path& path) { return read_file(path, 1 << 20); }

}  // namespace

TEST_CASE("read_file: refuses what is larger than its bound, and names it", "[base]") {
  const Scratch dir;
  std::ofstream(dir.path() / "f") << "12345";
  CHECK(read_file(dir.path() / "f", 5) == "12345");
  CHECK_THROWS_WITH(read_file(dir.path() / "f", 4), ContainsSubstring("/f: larger than 4 bytes"));
}

TEST_CASE("write_file_atomic: replaces the whole file, with the mode, and leaves no other file",
          "[base]") {
  const Scratch dir;
  ::umask(022);
  std::ofstream(dir.path() / "f") << "a much longer old content";
  write_file_atomic(dir.path() / "f", "new", 0640);
  CHECK(content(dir.path() / "f") == "new");
  CHECK((fs::status(dir.path() / "f").permissions() & fs::perms::all) == fs::perms(0640));
  CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("write_file_atomic: a failing rename leaves nothing behind", "[base]") {
  const Scratch dir;
  fs::create_directories(dir.path() / "occupied/below");
  CHECK_THROWS_AS(write_file_atomic(dir.path() / "occupied", "x", 0600), Error);
  CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("open_in_root: no link and no dots lead out of the root", "[base]") {
  const Scratch dir;
  std::ofstream(dir.path() / "secret") << "outside";
  fs::create_directory(dir.path() / "root");
  std::ofstream(dir.path() / "root/secret") << "inside";
  fs::create_symlink("/secret", dir.path() / "root/absolute");
  fs::create_symlink("../../../../secret", dir.path() / "root/relative");
  fs::create_symlink("/proc/self/root", dir.path() / "root/magic");
  const UniqueFd root{::open((dir.path() / "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  for (const char* path :
       {"secret", "/secret", "../secret", "absolute", "relative", "/../../secret"}) {
    CAPTURE(path);
    CHECK(read_all(open_in_root(root.get(), path, O_RDONLY).get(), 100, path) == "inside");
  }
  CHECK_THROWS_AS(open_in_root(root.get(), "magic/etc/passwd", O_RDONLY), Error);
}

TEST_CASE("find_in_root: what is missing is no error, all else is", "[base]") {
  const Scratch dir;
  std::ofstream(dir.path() / "file") << "x";
  const UniqueFd root{::open(dir.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  CHECK(find_in_root(root.get(), "/file", O_RDONLY));
  CHECK_FALSE(find_in_root(root.get(), "/missing/below", O_RDONLY));
  CHECK_THROWS_AS(find_in_root(root.get(), "/file/below", O_RDONLY), Error);
}

TEST_CASE("make_directories_in_root: follows links inside the root and makes what is missing there",
          "[base]") {
  const Scratch dir;
  fs::create_directories(dir.path() / "root/real");
  fs::create_symlink("/real", dir.path() / "root/link");
  fs::create_symlink("/nowhere", dir.path() / "root/dangling");
  fs::create_symlink("../../out", dir.path() / "root/escape");
  std::ofstream(dir.path() / "root/file") << "x";
  const UniqueFd root{::open((dir.path() / "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  make_directories_in_root(root.get(), "/link/a/b", 0755);
  CHECK(fs::is_directory(dir.path() / "root/real/a/b"));
  make_directories_in_root(root.get(), "/real/a/b", 0755);  // again: fine
  CHECK_THROWS_AS(make_directories_in_root(root.get(), "/file/a", 0755), Error);
  CHECK_THROWS_AS(make_directories_in_root(root.get(), "/dangling/a", 0755), Error);
  CHECK_THROWS_AS(make_directories_in_root(root.get(), "/escape/a", 0755), Error);
  CHECK_FALSE(fs::exists(dir.path() / "out"));
}

TEST_CASE("make_ordinary_directory_in_root: nothing where a link or a file stands", "[base]") {
  const Scratch dir;
  fs::create_directories(dir.path() / "real");
  fs::create_symlink("real", dir.path() / "link");
  std::ofstream(dir.path() / "file") << "x";
  const UniqueFd root{::open(dir.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  for (const char* path : {"/link", "link", "/link/", "/real/../link//", "/file"}) {
    CAPTURE(path);
    CHECK_FALSE(make_ordinary_directory_in_root(root.get(), path, 0755));
  }
  for (const char* path : {"/", "/real", "real/", "/new/below/", "/link/below"}) {
    CAPTURE(path);
    CHECK(make_ordinary_directory_in_root(root.get(), path, 0755));
  }
  CHECK(fs::is_directory(dir.path() / "new/below"));
  CHECK(fs::is_directory(dir.path() / "real/below"));
}

TEST_CASE("write_new_file: neither replaces a file nor follows a link", "[base]") {
  const Scratch dir;
  const UniqueFd parent{::open(dir.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  write_new_file(parent.get(), "f", "first", 0600);
  CHECK_THROWS_WITH(write_new_file(parent.get(), "f", "second", 0600), "create f: file exists");
  fs::create_symlink("made", dir.path() / "link");
  CHECK_THROWS_WITH(write_new_file(parent.get(), "link", "x", 0600), "create link: file exists");
  CHECK(content(dir.path() / "f") == "first");
  CHECK_FALSE(fs::exists(dir.path() / "made"));
}

TEST_CASE("write_existing: makes no file, and names the one that it cannot write", "[base]") {
  const Scratch dir;
  const fs::path path = dir.path() / "f";
  CHECK_THROWS_WITH(write_existing(path, "x"),
                    "open " + path.string() + ": no such file or directory");
  CHECK_FALSE(fs::exists(path));
  CHECK_THROWS_WITH(write_existing("/dev/full", "x"), "write /dev/full: no space left on device");
}

TEST_CASE("names_in: all names, and an error for what is no directory", "[base]") {
  const Scratch dir;
  for (const char* name : {"a", ".hidden", "with blank"}) std::ofstream(dir.path() / name) << "x";
  const UniqueFd open{::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  auto names = names_in(open.get());
  std::ranges::sort(names);
  CHECK(names == std::vector<std::string>{".hidden", "a", "with blank"});
  const UniqueFd file{::open((dir.path() / "a").c_str(), O_RDONLY | O_CLOEXEC)};
  CHECK_THROWS_WITH(names_in(file.get()), "list a directory: not a directory");
}
