// SPDX-License-Identifier: Apache-2.0
#include "agent/boot/modules.hpp"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::agent;

TEST_CASE("modules: a tree of another kernel is refused, none at all is not", "[agent]") {
  const husk::test::Scratch tree;
  CHECK_FALSE(wrong_modules(tree.path(), "6.12.1-husk"));
  CHECK_FALSE(wrong_modules(tree.path() / "none", "6.12.1-husk"));
  std::filesystem::create_directories(tree.path() / "6.1.0-57-cloud-amd64");
  CHECK(wrong_modules(tree.path(), "6.12.1-husk") ==
        "the guest modules are of another kernel: there is no directory 6.12.1-husk in them, for "
        "the guest's own");
  std::filesystem::create_directories(tree.path() / "6.12.1-husk");
  CHECK_FALSE(wrong_modules(tree.path(), "6.12.1-husk"));
}
