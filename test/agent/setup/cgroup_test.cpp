// SPDX-License-Identifier: Apache-2.0
// A container's cgroup on this host's version 2, with groups that the container made below.
#include "agent/setup/cgroup.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "test/agent/container_bench.hpp"

using namespace husk;
using namespace husk::agent;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

struct CgroupBench {
  fs::path parent = test::cgroup2() / ("husk-cgroup-" + random_hex(4));
  std::vector<pid_t> children;

  CgroupBench() { fs::create_directory(parent); }
  CgroupBench(const CgroupBench&) = delete;
  CgroupBench& operator=(const CgroupBench&) = delete;
  ~CgroupBench() {
    for (const pid_t child : children) ::kill(child, SIGKILL);
    reap();
    std::error_code ignored;
    fs::remove(parent, ignored);
  }
  /// A process that waits for its end in the cgroup at `path`.
  pid_t process_in(const fs::path& path) {
    const pid_t child = ::fork();
    if (child == 0)
      for (;;) ::pause();
    write_existing(path / "cgroup.procs", std::to_string(child));
    children.push_back(child);
    return child;
  }
  void reap() {
    for (const pid_t child : children) ::waitpid(child, nullptr, 0);
    children.clear();
  }
};

}  // namespace

TEST_CASE("cgroup: is made with bounds, and one that is in use is not taken over", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  CgroupBench bench;
  fs::create_directory(bench.parent / "one");  // left by a failed creation
  Cgroup cgroup(bench.parent, "one");
  CHECK(read_file(cgroup.path() / "cgroup.max.depth", 64) == "32\n");
  CHECK(read_file(cgroup.path() / "cgroup.max.descendants", 64) == "1024\n");
  bench.process_in(cgroup.path());
  CHECK_THROWS_WITH(Cgroup(bench.parent, "one"),
                    "make cgroup " + (bench.parent / "one").string() + ": file exists");
  CHECK(cgroup.processes().size() == 1);  // and nothing of the first one was killed
  CHECK_THROWS_WITH(Cgroup(bench.parent / "none", "one"),
                    ContainsSubstring("no such file or directory"));
  cgroup.kill();
  bench.reap();
}

TEST_CASE("cgroup: processes of groups below are listed, frozen, killed and removed with it",
          "[root]") {
  SKIP_UNLESS_POSSIBLE();
  CgroupBench bench;
  Cgroup cgroup(bench.parent, "one");
  const fs::path below = cgroup.path() / "a" / "b";
  fs::create_directories(below);
  fs::create_directory(cgroup.path() / "empty");
  const pid_t top = bench.process_in(cgroup.path()), nested = bench.process_in(below);
  std::vector<pid_t> found = cgroup.processes();
  std::ranges::sort(found);
  CHECK(found == std::vector<pid_t>{std::min(top, nested), std::max(top, nested)});
  CHECK_FALSE(cgroup.remove());
  CHECK_FALSE(cgroup.path().empty());
  cgroup.set_frozen(true);
  for (int i = 0; i < 10000 && !cgroup.is_frozen(); ++i) ::usleep(100);
  CHECK(cgroup.is_frozen());
  cgroup.kill();  // those that are frozen too
  bench.reap();
  CHECK(cgroup.processes().empty());
  CHECK(cgroup.remove());
  CHECK(cgroup.path().empty());
  CHECK(cgroup.remove());  // it has gone
  CHECK(cgroup.processes().empty());
  CHECK_FALSE(fs::exists(bench.parent / "one"));
}

TEST_CASE("cgroup: a path below it leads to no other", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  CgroupBench bench;
  Cgroup cgroup(bench.parent, "one");
  fs::create_directories(cgroup.path() / "a");
  const auto inode_of = [](int fd) {
    struct stat status {};
    check_sys(::fstat(fd, &status), "stat");
    return status.st_ino;
  };
  CHECK(inode_of(cgroup.open_below("a").get()) != inode_of(cgroup.directory_fd()));
  for (const char* path : {"/", "..", "../..", "a/../../..", "/a/.."}) {
    CAPTURE(path);
    CHECK(inode_of(cgroup.open_below(path).get()) == inode_of(cgroup.directory_fd()));
  }
  CHECK_THROWS_WITH(cgroup.open_below("none"),
                    "open cgroup none: open none: no such file or directory");
  CHECK_THROWS_WITH(cgroup.open_below("cgroup.procs"), ContainsSubstring("not a directory"));
  // Without controllers for groups below, every process joins the container's own.
  const pid_t nested = bench.process_in(cgroup.path() / "a");
  CHECK(inode_of(cgroup.open_for_joining(nested).get()) == inode_of(cgroup.directory_fd()));
  cgroup.kill();
  bench.reap();
}

TEST_CASE("cgroup: one that somebody else removed is gone without a complaint", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  CgroupBench bench;
  Cgroup cgroup(bench.parent, "one");
  fs::remove(cgroup.path());
  cgroup.kill();
  CHECK(cgroup.remove());
  CHECK(cgroup.path().empty());
}
