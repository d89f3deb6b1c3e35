// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/device_node.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "test/lib/oci/fixtures.hpp"

namespace husk::oci::test {

namespace fs = std::filesystem;

namespace {

Device device(const std::string& type, const std::string& path) {
  Device made;
  made.type = type;
  made.path = path;
  made.major = 1;
  made.minor = 3;
  return made;
}

/// The root of a container, in which devices are made.
struct DeviceRoot {
  TemporaryDirectory directory;
  UniqueFd fd{::open(directory.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};

  void make(const Device& one) const { make_device_node(fd.get(), one); }
  struct stat status(const char* path) const {
    struct stat found {};
    INFO(path);
    REQUIRE(::fstatat(fd.get(), path, &found, AT_SYMLINK_NOFOLLOW) == 0);
    return found;
  }
};

}  // namespace

TEST_CASE("device node: each type, with its number, mode and owner, whatever the umask", "[oci]") {
  const DeviceRoot root;
  const std::pair<const char*, mode_t> types[] = {
      {"c", S_IFCHR}, {"u", S_IFCHR}, {"b", S_IFBLK}, {"p", S_IFIFO}};
  const mode_t before = ::umask(0777);
  for (const auto& [type, file_type] : types) {
    Device one = device(type, std::string("/dev/below/") + type);
    one.major = 259, one.minor = 70'000;  // more than the 8 bits of old
    one.uid = 7, one.gid = 8;
    one.file_mode = file_type | 04640;  // callers copy st_mode
    root.make(one);
  }
  root.make(device("c", "/plain"));
  ::umask(before);
  for (const auto& [type, file_type] : types) {
    CAPTURE(type);
    const struct stat found = root.status((std::string("dev/below/") + type).c_str());
    CHECK(found.st_mode == (file_type | 0640));
    CHECK(found.st_rdev == (file_type == S_IFIFO ? 0 : ::makedev(259, 70'000)));
    CHECK(found.st_uid == 7);
    CHECK(found.st_gid == 8);
  }
  CHECK(root.status("plain").st_mode == (S_IFCHR | 0666));
  CHECK(root.status("plain").st_uid == 0);
}

TEST_CASE("device node: a file or a link of its name is left as it is", "[oci]") {
  const DeviceRoot root;
  const fs::path outside = root.directory.path() / "file";
  std::ofstream(outside) << "content";
  fs::permissions(outside, fs::perms(0600));
  fs::create_symlink("/file", root.directory.path() / "link");
  fs::create_symlink("/missing", root.directory.path() / "dangling");
  for (const char* path : {"/file", "/link", "/dangling"}) {
    CAPTURE(path);
    Device one = device("c", path);
    one.uid = 7;
    CHECK_NOTHROW(root.make(one));
  }
  CHECK(root.status("file").st_mode == (S_IFREG | 0600));
  CHECK(root.status("file").st_uid == ::geteuid());
  CHECK(S_ISLNK(root.status("dangling").st_mode));
  CHECK_FALSE(fs::exists(root.directory.path() / "missing"));
}

TEST_CASE("device node: no path leads out of the root", "[oci]") {
  const TemporaryDirectory outside;
  const DeviceRoot root;
  fs::create_symlink(outside.path(), root.directory.path() / "absolute");
  fs::create_symlink("../../../../../tmp", root.directory.path() / "relative");
  fs::create_directory(root.directory.path() / "tmp");
  root.make(device("p", "/../../up"));
  root.make(device("p", "/relative/below"));
  CHECK(S_ISFIFO(root.status("up").st_mode));
  CHECK(S_ISFIFO(root.status("tmp/below").st_mode));
  // The link's target is looked for inside the root, where it is not.
  CHECK_FALSE(failure_of([&] { root.make(device("p", "/absolute/made")); }).text.empty());
  CHECK(fs::is_empty(outside.path()));
}

TEST_CASE("device node: what cannot be made is named", "[oci]") {
  const DeviceRoot root;
  const auto refusal = [&](const Device& one) {
    const Failure failure = failure_of([&] { root.make(one); });
    CHECK(failure.code == Errc::invalid_argument);
    return failure.text;
  };
  Device half = device("b", "/dev/half");
  half.minor.reset();
  CHECK(refusal(half) == "linux.devices: major and minor are required");
  CHECK(refusal(device("x", "/dev/x")) == "linux.devices: unknown type x");
  for (const char* path : {"", "name", "/", "/dev/"})
    CHECK(refusal(device("c", path)) == std::string("linux.devices: bad path ") + path);
  CHECK_FALSE(fs::exists(root.directory.path() / "dev/half"));
  std::ofstream(root.directory.path() / "file") << "x";
  CHECK(failure_of([&] { root.make(device("c", "/file/below")); }).text ==
        "open /file: not a directory");
}

}  // namespace husk::oci::test
