// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/overlay_source.hpp"

#include <sys/mount.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/runtime/host/mount_tree.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using husk::test::Scratch;
namespace fs = std::filesystem;

namespace {
/// Directories on a tmpfs: the scratch directory may lie on an overlay, which takes no further one.
struct Layers {
  Layers() {
    attach_mount(make_filesystem("tmpfs", "test", {}).get(), scratch.path());
    for (const char* name : {"upper", "work"}) fs::create_directory(scratch.path() / name);
  }
  ~Layers() { ::umount2(scratch.path().c_str(), MNT_DETACH); }
  fs::path make_lower(const std::string& name, const std::string& file) const {
    fs::create_directory(scratch.path() / name);
    std::ofstream(scratch.path() / name / file) << name;
    return scratch.path() / name;
  }
  Scratch scratch;
};
std::string read(const UniqueFd& mount, const std::string& name) {
  return read_file(fs::path(fd_path(mount.get())) / name, 1000);
}
}  // namespace

TEST_CASE("make_overlay: what is written goes to the upper directory", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Layers layers;
  const fs::path lower = layers.make_lower("a:b,c", "file"),
                 upper = layers.scratch.path() / "upper";
  const UniqueFd made = make_overlay({{lower}, upper, layers.scratch.path() / "work"});
  CHECK(read(made, "file") == "a:b,c");
  std::ofstream(fs::path(fd_path(made.get())) / "file") << "new";
  CHECK(read_file(upper / "file", 1000) == "new");
  CHECK(read_file(lower / "file", 1000) == "a:b,c");
}

TEST_CASE("make_overlay: twelve lower directories with long names", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Layers layers;
  OverlaySource source;
  for (std::size_t n = 0; n < OverlaySource::max_lower; ++n)
    source.lower.push_back(
        layers.make_lower(std::string(200, 'x') + std::to_string(n), n == 0 ? "file" : "other"));
  const UniqueFd made = make_overlay(source);
  CHECK(read(made, "file") == std::string(200, 'x') + "0");
  CHECK(read(made, "other") == std::string(200, 'x') + "1");  // the topmost that has the file
  CHECK_FALSE(std::ofstream(fs::path(fd_path(made.get())) / "file"));
}

TEST_CASE("make_overlay: says which directory or option is wrong", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Layers layers;
  const fs::path lower = layers.make_lower("l", "file"), none = layers.scratch.path() / "none";
  CHECK_THROWS_WITH(make_overlay({{none}, "", ""}),
                    StartsWith("lowerdir " + none.string() + ": no such file"));
  CHECK_THROWS_WITH(make_overlay({{lower / "file"}, "", ""}),
                    ContainsSubstring("/l/file: not a directory"));
  CHECK_THROWS_WITH(make_overlay({{lower}, lower, none}), StartsWith("workdir " + none.string()));
  CHECK_THROWS_WITH(make_overlay({{lower},
                                  layers.scratch.path() / "upper",
                                  layers.scratch.path() / "work",
                                  {{"colour", "red"}}}),
                    ContainsSubstring("overlay"));
}
