// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/mount_options.hpp"

#include <sys/mount.h>

#include <catch2/catch_test_macros.hpp>

#include "lib/base/error.hpp"

using husk::agent::AttributeChange;
using husk::agent::parse_mount_options;

TEST_CASE("mount options: flags become attributes and the last word wins") {
  const auto options = parse_mount_options({"nosuid", "nodev", "ro", "noexec", "rw", "suid"});
  CHECK(options.attributes == AttributeChange{MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                                              MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID});
  CHECK(options.filesystem.empty());
}

TEST_CASE("mount options: access time policies exclude each other") {
  const auto strict = parse_mount_options({"noatime", "strictatime"});
  CHECK(strict.attributes == AttributeChange{MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME});
  const auto relative = parse_mount_options({"strictatime", "relatime"});
  CHECK(relative.attributes == AttributeChange{MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME});
}

TEST_CASE("mount options: ro and rro are not the same") {
  const auto options = parse_mount_options({"rro", "rnosuid"});
  CHECK(options.attributes.empty());
  CHECK(options.tree_attributes == AttributeChange{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0});
}

TEST_CASE("mount options: binds, propagation and data are told apart") {
  const auto options = parse_mount_options({"rbind", "rprivate", "size=64m", "sync", "mode=1777"});
  CHECK(options.bind);
  CHECK(options.recursive_bind);
  REQUIRE(options.propagation.size() == 1);
  CHECK(options.propagation[0] == husk::agent::PropagationChange{MS_PRIVATE, true});
  REQUIRE(options.filesystem.size() == 3);
  CHECK(options.filesystem[0].first == "size");
  CHECK(options.filesystem[0].second == "64m");
  CHECK_FALSE(options.filesystem[1].second);
  CHECK_FALSE(parse_mount_options({"bind"}).recursive_bind);
}

TEST_CASE("mount options: id-mapped mounts are refused, not ignored") {
  CHECK_THROWS_AS(parse_mount_options({"bind", "idmap"}), husk::Error);
}
