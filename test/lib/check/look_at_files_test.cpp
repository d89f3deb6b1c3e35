// SPDX-License-Identifier: Apache-2.0
#include "lib/check/look_at_files.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

#include "lib/base/unique_fd.hpp"
#include "lib/check/program_error.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::check;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using husk::test::Scratch;
namespace fs = std::filesystem;

namespace {

/// A file system whose server takes no request, as that of a dead NFS server.
struct UnansweredFiles : Scratch {
  UnansweredFiles() {
    const std::string options =
        "fd=" + std::to_string(server.get()) + ",rootmode=40000,user_id=0,group_id=0";
    fs::create_directory(path() / "dead");
    is_mounted =
        server && ::mount("dead", (path() / "dead").c_str(), "fuse", 0, options.c_str()) == 0;
  }
  ~UnansweredFiles() {
    server.reset();
    ::umount2((path() / "dead").c_str(), MNT_DETACH);
  }
  UniqueFd server{::open("/dev/fuse", O_RDWR | O_CLOEXEC)};
  bool is_mounted = false;
};

}  // namespace

TEST_CASE("check: files on a file system that does not answer are named in time", "[root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const UnansweredFiles files;
  if (!files.is_mounted) SKIP("FUSE is not to be had here");
  const fs::path path = files.path() / "dead/file";
  const std::string text = path.string() + ": the file system does not answer within 1 s";
  const auto begin = std::chrono::steady_clock::now();
  const GuestFile file = look_at_guest_file("vm.kernel", path, 65534U, 500ms);
  CHECK(file.is_unanswered);
  CHECK(file.error == text);
  const VirtiofsdLook virtiofsd = look_at_virtiofsd(path, 500ms);
  CHECK(virtiofsd.part.is_unanswered);
  CHECK(virtiofsd.part.error == "files.virtiofsd: " + text);
  CHECK(find_program_error(path, 500ms) == text);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("check: a file of the guest is opened, and the kernel of the modules is found") {
  const Scratch scratch;
  fs::create_directories(scratch.path() / "modules/6.1-test");
  std::ofstream(scratch.path() / "vmlinuz") << "x";
  const GuestFile kernel = look_at_guest_file("vm.kernel", scratch.path() / "vmlinuz", {}, 10s);
  CHECK(kernel.error.empty());
  CHECK_FALSE(kernel.is_unanswered);
  CHECK(kernel.release.empty());
  CHECK(look_at_guest_file("vm.modules", scratch.path() / "modules", {}, 10s).release ==
        "6.1-test");
  const GuestFile none = look_at_guest_file("vm.initrd", scratch.path() / "none", {}, 10s);
  CHECK(none.error == (scratch.path() / "none").string() + ": no such file or directory");
  CHECK_FALSE(none.is_unanswered);
}

TEST_CASE("check: the directory that QEMU's user may not search is named", "[root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Scratch scratch;
  fs::permissions(scratch.path(), fs::perms(0755));
  fs::create_directories(scratch.path() / "open/closed/open");
  fs::permissions(scratch.path() / "open/closed", fs::perms(0700));
  const fs::path path = scratch.path() / "open/closed/open/vmlinuz";
  std::ofstream(path) << "x";
  const GuestFile file = look_at_guest_file("vm.kernel", path, 65534U, 10s);
  CHECK(file.error.empty());
  CHECK(file.closed_directory == scratch.path() / "open/closed");
  CHECK(::geteuid() == 0);
  fs::permissions(scratch.path() / "open/closed", fs::perms(0755));
  CHECK(look_at_guest_file("vm.kernel", path, 65534U, 10s).closed_directory.empty());
}

TEST_CASE("check: a program's version and a virtiofsd come from the program") {
  const Scratch scratch;
  const fs::path path = scratch.path() / "virtiofsd";
  CHECK_THAT(look_at_virtiofsd(path, 20s).part.error,
             ContainsSubstring("is not a program that can be executed"));
  CHECK(find_program_error(path, 10s) == path.string() + ": no such file or directory");
  std::ofstream(path) << "#!/bin/sh\necho virtiofsd 1.13.2\n";
  fs::permissions(path, fs::perms(0755));
  const VirtiofsdLook look = look_at_virtiofsd(path, 25s);
  CHECK(look.part.error.empty());
  CHECK(look.part.version == "1.13.2");
  CHECK(look.is_rust);
  CHECK(find_program_error(path, 10s).empty());
}
