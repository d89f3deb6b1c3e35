// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/copy_tree.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "test/agent/setup/in_child.hpp"

using namespace husk;
using namespace husk::agent;
namespace fs = std::filesystem;

namespace {

/// Two directories, "from" and "to".
struct Trees {
  fs::path top, from, to;

  Trees() {
    std::string pattern = "/tmp/husk-copy-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    top = pattern;
    from = top / "from";
    to = top / "to";
    fs::create_directory(from);
    fs::create_directory(to);
  }
  Trees(const Trees&) = delete;
  Trees& operator=(const Trees&) = delete;
  ~Trees() { fs::remove_all(top); }

  void write(const std::string& name, const std::string& text, mode_t mode = 0644) const {
    const UniqueFd file{::open((from / name).c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600)};
    REQUIRE(file);
    write_all(file.get(), text);
    REQUIRE(::fchmod(file.get(), mode) == 0);
  }
  std::string copy() const {
    const UniqueFd source{::open(from.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    const UniqueFd target{::open(to.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    try {
      copy_tree(source.get(), target.get());
    } catch (const Error& error) {
      return error.what();
    }
    return "copied";
  }
};

struct stat status_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status;
}

bool have_equal_metadata(const fs::path& one, const fs::path& other) {
  const struct stat a = status_of(one), b = status_of(other);
  return a.st_mode == b.st_mode && a.st_uid == b.st_uid && a.st_gid == b.st_gid &&
         a.st_rdev == b.st_rdev && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

}  // namespace

TEST_CASE("copy tree: every kind of entry, with owner, mode and times", "[root]") {
  SKIP_UNLESS_ROOT();
  const Trees trees;
  fs::create_directory(trees.from / "dir");
  trees.write("dir/inner", "inside");
  trees.write("plain", std::string(3u << 20, 'x'), 0640);
  trees.write("empty", "", 0);
  trees.write("setuid", "#!", 0);
  fs::create_symlink("/nowhere/at all", trees.from / "dangling");
  fs::create_symlink("dir", trees.from / "to dir");
  REQUIRE(::mkfifo((trees.from / "fifo").c_str(), 0622) == 0);
  REQUIRE(::mknod((trees.from / "null").c_str(), S_IFCHR | 0666, ::makedev(1, 3)) == 0);
  REQUIRE(::mknod((trees.from / "socket").c_str(), S_IFSOCK | 0600, 0) == 0);
  const std::vector<const char*> names{"dir",      "dir/inner", "plain", "empty", "setuid",
                                       "dangling", "to dir",    "fifo",  "null",  "socket"};
  uid_t owner = 1000;
  for (const char* name : names) REQUIRE(::lchown((trees.from / name).c_str(), owner++, 77) == 0);
  REQUIRE(::chmod((trees.from / "setuid").c_str(), 06755) == 0);  // chown takes these bits away
  REQUIRE(::chmod((trees.from / "dir").c_str(), 03711) == 0);
  const std::array<timespec, 2> times{timespec{1, 2}, timespec{1234567, 89}};
  for (const char* name : {"dir/inner", "dir", "dangling", "null", "."})
    REQUIRE(::utimensat(AT_FDCWD, (trees.from / name).c_str(), times.data(), AT_SYMLINK_NOFOLLOW) ==
            0);
  REQUIRE(::chown(trees.from.c_str(), 5, 6) == 0);
  REQUIRE(::chmod(trees.from.c_str(), 01777) == 0);
  ::umask(077);  // of the test's own
  const std::string outcome = trees.copy();
  ::umask(022);
  CHECK(outcome == "copied");
  for (const char* name : names) {
    CAPTURE(name);
    CHECK(have_equal_metadata(trees.from / name, trees.to / name));
  }
  CHECK(have_equal_metadata(trees.from, trees.to));
  CHECK(read_file(trees.to / "dir/inner", 64) == "inside");
  CHECK(read_file(trees.to / "plain", 4u << 20) == std::string(3u << 20, 'x'));
  CHECK(fs::read_symlink(trees.to / "dangling") == "/nowhere/at all");
  CHECK(fs::read_symlink(trees.to / "to dir") == "dir");
  CHECK(std::distance(fs::directory_iterator(trees.to), {}) == 9);
}

TEST_CASE("copy tree: names of any bytes, and more entries than one read of a directory",
          "[root]") {
  SKIP_UNLESS_ROOT();
  const Trees trees;
  const std::vector<std::string> odd{"a\nb", "\xff\xfe", "...", "-rf", std::string(255, 'n')};
  for (const std::string& name : odd) trees.write(name, name);
  for (int i = 0; i < 1500; ++i) trees.write("f" + std::to_string(i), "");
  CHECK(trees.copy() == "copied");
  for (const std::string& name : odd) CHECK(read_file(trees.to / name, 1000) == name);
  CHECK(std::distance(fs::directory_iterator(trees.to), {}) == 1505);
}

TEST_CASE("copy tree: a link that is in the way is not followed, nor a file replaced", "[root]") {
  SKIP_UNLESS_ROOT();
  const Trees trees;
  const fs::path outside = trees.top / "outside";
  trees.write("file", "new");
  SECTION("a link") { fs::create_symlink(outside, trees.to / "file"); }
  SECTION("a file") {
    const UniqueFd file{::open((trees.to / "file").c_str(), O_WRONLY | O_CREAT, 0600)};
    write_all(file.get(), "old");
  }
  CHECK(trees.copy() == "create file: file exists");
  CHECK_FALSE(fs::exists(outside));
  if (!fs::is_symlink(trees.to / "file")) CHECK(read_file(trees.to / "file", 64) == "old");
}

TEST_CASE("copy tree: a tree of an image has 64 levels at most", "[root]") {
  SKIP_UNLESS_ROOT();
  for (const auto& [levels, outcome] :
       {std::pair{64, "copied"}, {65, "directories nested too deeply"}}) {
    const Trees trees;
    fs::path deepest = trees.from;
    for (int i = 0; i < levels; ++i) fs::create_directory(deepest /= "d");
    CHECK(trees.copy() == outcome);
  }
}

TEST_CASE("copy tree: a file system that is full is an error", "[root]") {
  SKIP_UNLESS_ROOT();
  const Trees trees;
  trees.write("large", std::string(1u << 20, 'x'));
  const std::string outcome = test::in_own_namespaces(CLONE_NEWNS, [&] {
    check_sys(::mount("tmpfs", trees.to.c_str(), "tmpfs", 0, "size=64k"), "mount");
    return trees.copy();
  });
  CHECK(outcome == "copy large: no space left on device");
}
