// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/mount_points.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
using husk::test::Scratch;
namespace fs = std::filesystem;

namespace {

struct Root : Scratch {
  UniqueFd fd{::open(path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  struct stat open(const std::string& destination) const {
    const UniqueFd point = open_mount_point(fd.get(), destination, false);
    struct stat status {};
    REQUIRE(::fstat(point.get(), &status) == 0);
    return status;
  }
};

/// A guest that makes a FIFO of a name and takes it away again, without end.
class Rival {
 public:
  explicit Rival(const fs::path& fifo)
      : thread_([this, fifo] {
          while (!is_over_) {
            ::mkfifo(fifo.c_str(), 0600);
            ::unlink(fifo.c_str());
          }
        }) {}
  Rival(const Rival&) = delete;
  Rival& operator=(const Rival&) = delete;
  ~Rival() {
    is_over_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> is_over_ = false;
  std::thread thread_;
};

}  // namespace

TEST_CASE("mount point: a FIFO of its name is one, and is not opened", "[runtime]") {
  const Root root;
  REQUIRE(::mkfifo((root.path() / "fifo").c_str(), 0600) == 0);
  CHECK(S_ISFIFO(root.open("/fifo").st_mode));
}

TEST_CASE("mount point: a FIFO that a guest makes meanwhile holds nothing up", "[runtime]") {
  const Root root;
  const Rival rival(root.path() / "point");
  ::alarm(60);  // ends the test where an open waits for the FIFO's reader
  for (int n = 0; n < 20000; ++n) {
    try {
      open_mount_point(root.fd.get(), "/point", false);
    } catch (const Error& e) {
      CHECK(e.sys_errno() == ELOOP);  // it came and went forty times
    }
    fs::remove(root.path() / "point");
  }
  ::alarm(0);
}

TEST_CASE("mount point: what a link leads to is made, inside the root", "[runtime]") {
  const Root root;
  fs::create_directories(root.path() / "run");
  fs::create_directories(root.path() / "etc");
  fs::create_symlink("../run/resolv.conf", root.path() / "etc/resolv.conf");
  fs::create_symlink("/../../run/hosts", root.path() / "etc/hosts");
  for (const char* name : {"resolv.conf", "hosts"}) {
    CHECK(S_ISREG(root.open(std::string("/etc/") + name).st_mode));
    CHECK(fs::is_regular_file(root.path() / "run" / name));
  }
}

TEST_CASE("mount point: a link in a circle is refused", "[runtime]") {
  const Root root;
  fs::create_symlink("b", root.path() / "a");
  fs::create_symlink("a", root.path() / "b");
  CHECK_THROWS_AS(root.open("/a"), Error);
}
