// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/install_paths.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdio>
#include <fstream>
#include <string>

#include "test/lib/base/scratch.hpp"

using namespace husk::runtime;
using husk::test::Scratch;
namespace fs = std::filesystem;

namespace {

struct Places : Scratch {
  fs::path prefix = path() / "usr", program = path() / "other/bin/myruntime";
  Places() {
    make(prefix / "libexec/husk/husk-shim");
    make(program);
  }
  static void make(const fs::path& file) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << "x";
  }
  InstallPaths find() const { return find_install_paths_of(program, prefix); }
  void check_in(const fs::path& place) const {
    CHECK(find().kernel == place / "share/husk/vmlinuz");
    CHECK(find().initrd == place / "share/husk/initrd");
    CHECK(find().modules == place / "share/husk/modules");
  }
};

}  // namespace

TEST_CASE("install paths: a program elsewhere has its files in the configured prefix",
          "[runtime]") {
  const Places places;
  CHECK(places.find().shim == places.prefix / "libexec/husk/husk-shim");
  places.check_in(places.prefix);
}

TEST_CASE("install paths: a program's own prefix comes first", "[runtime]") {
  const Places places;
  fs::path shim;
  SECTION("a build directory") { shim = places.path() / "other/bin/husk-shim"; }
  SECTION("installed with another prefix") {
    shim = places.path() / "other/libexec/husk/husk-shim";
  }
  Places::make(shim);
  CHECK(places.find().shim == shim);
  places.check_in(places.path() / "other");
}

TEST_CASE("install paths: a husk-shim in everybody's directory is not executed", "[runtime]") {
  const Places places;
  Places::make(places.path() / "other/bin/husk-shim");
  fs::permissions(places.path() / "other/bin", fs::perms{01777});
  CHECK(places.find().shim == places.prefix / "libexec/husk/husk-shim");
  places.check_in(places.prefix);
}

TEST_CASE("install paths: where no place has a shim, the program's own is named", "[runtime]") {
  const Places places;
  fs::remove(places.prefix / "libexec/husk/husk-shim");
  CHECK(places.find().shim == places.path() / "other/libexec/husk/husk-shim");
  places.check_in(places.path() / "other");
}

TEST_CASE("install paths: a symbolic link to the program is resolved", "[runtime]") {
  const Scratch scratch;
  const fs::path link = scratch.path() / "myruntime";
  fs::create_symlink(fs::read_symlink("/proc/self/exe"), link);
  const std::string command = link.string() + " [install-paths]";
  std::FILE* const said = ::popen(command.c_str(), "r");
  REQUIRE(said != nullptr);
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), said));
  CHECK(::pclose(said) == 0);
  CHECK_THAT(text, Catch::Matchers::ContainsSubstring(
                       "kernel=" + find_install_paths().kernel.string() + "\n"));
}

TEST_CASE("install paths: as the test of symbolic links has them said", "[.install-paths]") {
  std::printf("kernel=%s\n", find_install_paths().kernel.c_str());
}

TEST_CASE("install paths: the configured prefix is CMake's", "[runtime]") {
  // No husk-shim is beside the test program.
  const fs::path prefix = HUSK_TEST_PREFIX;
  const fs::path own = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
  const bool is_installed = fs::exists(prefix / "libexec/husk/husk-shim");
  CHECK(find_install_paths().kernel == (is_installed ? prefix : own) / "share/husk/vmlinuz");
}
