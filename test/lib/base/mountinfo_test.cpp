// SPDX-License-Identifier: Apache-2.0
#include "lib/base/mountinfo.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "lib/base/error.hpp"

using namespace husk;

TEST_CASE("mountinfo: a line's fields, with any number of optional ones", "[base]") {
  const std::string optional =
      GENERATE(as<std::string>{}, "", "shared:5 ", "shared:5 master:2 propagate_from:1 ");
  const MountEntry entry = parse_mount_entry("36 35 98:0 /mnt1 /mnt2 rw,noatime " + optional +
                                             "- cgroup cgroup rw,xattr,name=systemd");
  CHECK(entry.device == "98:0");
  CHECK(entry.root == "/mnt1");
  CHECK(entry.mount_point == "/mnt2");
  CHECK(entry.type == "cgroup");
  CHECK(entry.super_options == "rw,xattr,name=systemd");
  CHECK(entry.options == "rw,noatime");
  CHECK(entry.master == (optional.size() > 10 ? "master:2" : ""));
  CHECK(entry.is_plain_peer == (optional == "shared:5 "));
}

TEST_CASE("mountinfo: escapes in paths are decoded, and nothing else is", "[base]") {
  const MountEntry entry = parse_mount_entry(
      R"(36 35 0:5 /a\134040 /with\040blank\011tab\012line\134slash\043 rw - fuse.a\040b x rw,k=\054)");
  CHECK(entry.root == R"(/a\040)");  // decoded once
  CHECK(entry.mount_point == "/with blank\ttab\nline\\slash#");
  CHECK(entry.type == "fuse.a b");
  CHECK(entry.super_options == R"(rw,k=\054)");  // a comma in a value, not one between options
  CHECK(parse_mount_entry(R"(1 2 0:5 / /a\9\48\04\777\ rw - t s o)").mount_point ==
        R"(/a\9\48\04\777\)");
  CHECK(parse_mount_entry("1 2 0:5 / /gr\\303\\274n rw - t s o").mount_point == "/gr\xc3\xbcn");
}

TEST_CASE("mountinfo: an empty source, and a mount point called like the dash", "[base]") {
  const MountEntry entry = parse_mount_entry("1 2 0:5 - - rw - tmpfs  size=64k");
  CHECK(entry.root == "-");
  CHECK(entry.mount_point == "-");
  CHECK(entry.type == "tmpfs");
  CHECK(entry.super_options == "size=64k");
}

TEST_CASE("mountinfo: a line of another form is refused", "[base]") {
  const std::string line =
      GENERATE(as<std::string>{}, "", "-", "36 35 98:0 / /mnt rw - ext4 x",
               "36 35 98:0 / /mnt rw shared:1 ext4 x rw", "36 35 98:0 / - ext4 x rw");
  CAPTURE(line);
  CHECK_THROWS_AS(parse_mount_entry(line), Error);
}

TEST_CASE("mountinfo: the table has /proc", "[base]") {
  const auto table = load_mount_table();
  const auto proc = std::find_if(table.begin(), table.end(), [](const MountEntry& entry) {
    return entry.mount_point == "/proc" && entry.type == "proc";
  });
  REQUIRE(proc != table.end());
  CHECK(proc->root == "/");
}
