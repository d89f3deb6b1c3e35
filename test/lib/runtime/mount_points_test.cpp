// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/mount_points.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <fstream>
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

namespace {

oci::Device null_device(const std::string& path) {
  oci::Device device;
  device.type = "c";
  device.path = path;
  device.major = 1;
  device.minor = 3;
  device.file_mode = 0640;
  device.uid = 7;
  device.gid = 8;
  return device;
}

/// A spec with a tmpfs on /dev and these devices.
oci::Spec spec_with(const std::vector<std::string>& devices) {
  oci::Spec spec;
  oci::Mount& dev = spec.mounts.emplace_back();
  dev.destination = "/dev";
  dev.type = "tmpfs";
  for (const std::string& path : devices) spec.linux_.devices.push_back(null_device(path));
  return spec;
}

void make_all(const Root& root, const oci::Spec& spec) {
  make_mount_points(root.fd.get(), spec, [](std::size_t) { return true; });
}

}  // namespace

TEST_CASE("mount points: devices outside of the mounts are made in the rootfs, inside of it",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Root root;
  const Scratch outside;
  fs::create_directories(root.path() / outside.path().relative_path());
  fs::create_symlink(outside.path(), root.path() / "link");
  std::ofstream(root.path() / "taken") << "the image's";
  const oci::Spec spec = spec_with({"/opt/there/null", "/dev/null", "/link/null", "/taken"});
  make_all(root, spec);
  make_all(root, spec);  // of a second container in the same rootfs
  for (const fs::path& made :
       {root.path() / "opt/there/null", root.path() / outside.path().relative_path() / "null"}) {
    CAPTURE(made);
    struct stat status {};
    REQUIRE(::lstat(made.c_str(), &status) == 0);
    CHECK(status.st_mode == (S_IFCHR | 0640));
    CHECK(status.st_rdev == ::makedev(1, 3));
    CHECK(status.st_uid == 7);
    CHECK(status.st_gid == 8);
  }
  CHECK_FALSE(fs::exists(root.path() / "dev/null"));  // the guest makes it in its tmpfs
  CHECK(fs::is_empty(outside.path()));
  CHECK(fs::is_regular_file(root.path() / "taken"));
}

TEST_CASE("mount points: a device is a file to be bound on in a user namespace", "[runtime]") {
  const Root root;
  oci::Spec spec = spec_with({"/opt/null"});
  spec.linux_.namespaces.push_back({"user", {}});
  make_all(root, spec);
  CHECK(fs::is_regular_file(root.path() / "opt/null"));
}

TEST_CASE("mount points: no device is made where /dev is a bind", "[runtime]") {
  const Root root;
  oci::Spec spec = spec_with({"/opt/null"});
  spec.mounts.at(0).type = "bind";
  make_all(root, spec);
  CHECK_FALSE(fs::exists(root.path() / "opt"));
}
