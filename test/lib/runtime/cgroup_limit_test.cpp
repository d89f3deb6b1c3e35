// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/cgroup_limit.hpp"

#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
namespace fs = std::filesystem;

namespace {

void write(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

}  // namespace

TEST_CASE("memory_limit_in: the least of a cgroup and those above it", "[runtime]") {
  const test::Scratch root;
  const fs::path& top = root.path();
  CHECK_FALSE(memory_limit_in(top, "/pods/p1"));
  write(top / "memory.max", "5\n");  // the root of a hierarchy limits nobody
  write(top / "pods/memory.max", "max\n");
  write(top / "pods/p1/memory.max", "314572800\n");
  CHECK(memory_limit_in(top, "/pods/p1") == 314572800U);
  CHECK(memory_limit_in(top, "pods/p1/not/there/yet") == 314572800U);
  CHECK_FALSE(memory_limit_in(top, "/pods"));
  write(top / "pods/memory.max", "1048576\n");
  CHECK(memory_limit_in(top, "/pods/p1") == 1048576U);
}

TEST_CASE("memory_limit_in: cgroup v1 says no limit by a number", "[runtime]") {
  const test::Scratch root;
  write(root.path() / "a/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK_FALSE(memory_limit_in(root.path(), "/a"));
  write(root.path() / "a/b/memory.limit_in_bytes", "4096\n");
  CHECK(memory_limit_in(root.path(), "/a/b") == 4096U);
  write(root.path() / "a/b/memory.limit_in_bytes", "4096 or so\n");
  CHECK_FALSE(memory_limit_in(root.path(), "/a/b"));
}
