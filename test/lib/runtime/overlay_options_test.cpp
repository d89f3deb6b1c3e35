// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/overlay_options.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::runtime;
using Options = std::vector<std::string>;

namespace {
oci::Mount make_mount(const Options& options) {
  return {.destination = "/data",
          .type = "overlay",
          .source = "/run/merge",
          .options = options,
          .uid_mappings = {},
          .gid_mappings = {}};
}
PinnedMount plan(const Options& options) {
  oci::Mount mount = make_mount(options);
  return plan_overlay(3, "/bundle", mount);
}
}  // namespace

TEST_CASE("plan_overlay: Podman's volume option O", "[runtime]") {
  oci::Mount mount =
      make_mount({"lowerdir=/src", "upperdir=/c/upper", "workdir=/c/work", "private", "nosuid"});
  const PinnedMount pinned = plan_overlay(3, "/bundle", mount);
  CHECK(pinned.number == 3);
  CHECK(pinned.source == "/src");
  CHECK_FALSE(pinned.read_only);
  CHECK(*pinned.overlay == OverlaySource{{"/src"}, "/c/upper", "/c/work"});
  // The guest binds what the host makes.
  CHECK(mount.type == "bind");
  CHECK(mount.options == Options{"private", "nosuid"});
}

TEST_CASE("plan_overlay: what is only read has lower directories alone", "[runtime]") {
  const PinnedMount pinned = plan({"lowerdir=/image:/c/lower", "ro"});
  CHECK(pinned.read_only);
  CHECK(*pinned.overlay == OverlaySource{{"/image", "/c/lower"}, "", ""});
}

TEST_CASE("plan_overlay: names with a colon, a comma or a backslash", "[runtime]") {
  // Engines split the options at each comma.
  CHECK(plan({"lowerdir=/a\\:b:/c\\", "d:/e\\\\f"}).overlay->lower ==
        std::vector<std::filesystem::path>{"/a:b", "/c,d", "/e\\f"});
}

TEST_CASE("plan_overlay: a quotation mark in a name is a letter", "[runtime]") {
  const PinnedMount pinned = plan({"lowerdir=/12\" x", "upperdir=/u", "workdir=/w"});
  CHECK(*pinned.overlay == OverlaySource{{"/12\" x"}, "/u", "/w"});
}

TEST_CASE("overlay_directories: all that an overlay names", "[runtime]") {
  using Paths = std::vector<std::filesystem::path>;
  CHECK(overlay_directories(make_mount({"lowerdir=/a:/b", "upperdir=/u", "workdir=/w"})) ==
        Paths{"/a", "/b", "/u", "/w"});
  CHECK(overlay_directories(make_mount({"lowerdir="})).empty());
  CHECK(overlay_directories(make_mount({"lowerdir=/a", "bind"})).empty());
}

TEST_CASE("plan_overlay: relative directories are the bundle's", "[runtime]") {
  CHECK(plan({"lowerdir=sub/../l"}).overlay->lower.front() == "/bundle/l");
}

TEST_CASE("plan_overlay: overlayfs's other options reach it", "[runtime]") {
  using Pairs = decltype(OverlaySource::options);
  CHECK(plan({"lowerdir=/l", "userxattr", "metacopy=on", "context=\"u:r:t:s0:c1", "c2\""})
            .overlay->options ==
        Pairs{{"userxattr", ""}, {"metacopy", "on"}, {"context", "u:r:t:s0:c1,c2"}});
}

TEST_CASE("plan_overlay: refuses what cannot be, naming the field", "[runtime]") {
  const auto refuses = [](const Options& options, const std::string& reason) {
    CHECK_THROWS_WITH(plan(options), "mounts[3].options: " + reason);
  };
  refuses({}, "lowerdir: missing for an overlay mount");
  refuses({"lowerdir="}, "lowerdir: has an empty name");
  refuses({"lowerdir=/a::/b"}, "lowerdir: has an empty name");
  refuses({"lowerdir=/a", "upperdir=/u"}, "workdir: missing beside the other of the two");
  refuses({"lowerdir=/a", "workdir=/w"}, "upperdir: missing beside the other of the two");
  refuses({"lowerdir=/a", "xino="}, "xino: has no value");
  std::string many = "lowerdir=/0";
  for (int n = 1; n < 13; ++n) many += ":/" + std::to_string(n);
  refuses({many}, "lowerdir: names 13 directories, and 12 are possible");
}
