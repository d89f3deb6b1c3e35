// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/remote_files.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace husk;
using namespace husk::runtime;

namespace {
std::vector<MountEntry> table_of(const std::vector<std::string>& lines) {
  std::vector<MountEntry> table;
  for (const std::string& line : lines) table.push_back(parse_mount_entry(line));
  return table;
}
}  // namespace

TEST_CASE("has_remote_files: NFS, FUSE and whatever else has no block device here", "[runtime]") {
  const auto table =
      table_of({"1 0 8:1 / / rw - ext4 /dev/sda1 rw", "2 1 0:30 / /run rw - tmpfs t rw",
                "3 1 0:40 / /nfs rw - nfs4 server:/ rw", "4 1 0:41 / /fuse rw - fuse.sshfs h rw",
                "5 1 8:2 / /ntfs rw - fuseblk /dev/sda2 rw", "6 1 0:42 / /new rw - newfs n rw",
                "7 3 8:3 / /nfs/local rw - xfs /dev/sda3 rw"});
  for (const char* path : {"/nfs", "/nfs/a/b", "/fuse/x", "/ntfs", "/new/x"})
    CHECK(has_remote_files(table, path, false));
  for (const char* path : {"/", "/home", "/run/x", "/nfs/local/x", "/nfsx"})
    CHECK_FALSE(has_remote_files(table, path, false));
}

TEST_CASE("has_remote_files: what is mounted below counts for a recursive bind", "[runtime]") {
  const auto table =
      table_of({"1 0 8:1 / / rw - ext4 /dev/sda1 rw", "2 1 0:40 / /a/b/nfs rw - nfs s rw"});
  CHECK(has_remote_files(table, "/a", true));
  CHECK_FALSE(has_remote_files(table, "/a", false));
  CHECK_FALSE(has_remote_files(table, "/c", true));
}

TEST_CASE("has_remote_files: of two mounts on one point the later one counts", "[runtime]") {
  const std::string local = "1 0 8:1 / /a rw - ext4 /dev/sda1 rw",
                    remote = "2 1 0:40 / /a rw - nfs s rw";
  CHECK(has_remote_files(table_of({local, remote}), "/a/x", false));
  CHECK_FALSE(has_remote_files(table_of({remote, local}), "/a/x", false));
  CHECK_FALSE(has_remote_files({}, "/a", true));
}

TEST_CASE("has_remote_files: /sys and /proc have the kernel's own file systems", "[runtime]") {
  const auto table =
      table_of({"1 0 8:1 / / rw - ext4 /dev/sda1 rw", "2 1 0:20 / /sys rw - sysfs s rw",
                "3 2 0:21 / /sys/fs/fuse/connections rw - fusectl f rw",
                "4 2 0:22 / /sys/kernel/security rw - securityfs s rw"});
  CHECK_FALSE(has_remote_files(table, "/sys", true));
}
