// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/virtiofsd.hpp"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/runtime/plan/file_server_plan.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
namespace fs = std::filesystem;

namespace {

fs::path write_program(const test::Scratch& scratch, const std::string& text) {
  const fs::path path = scratch.path() / "program";
  std::ofstream(path) << "#!/bin/sh\n" << text << '\n';
  fs::permissions(path, fs::perms(0755));
  return path;
}

}  // namespace

TEST_CASE("virtiofsd: its version says in which language it is written", "[runtime]") {
  CHECK(is_rust_version("virtiofsd 1.13.2\n") == true);
  CHECK(is_rust_version("virtiofsd version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright\n") == false);
  for (const char* other :
       {"", "virtiofsd", "virtiofsd ", "virtiofs 1.0", "usage: virtiofsd version 7"}) {
    CAPTURE(other);
    CHECK_FALSE(is_rust_version(other).has_value());
  }
}

TEST_CASE("virtiofsd: the configured program is asked, and named when it is none", "[runtime]") {
  const test::Scratch scratch;
  const fs::path program =
      write_program(scratch, "echo virtiofsd $(test $1 = --version && echo 1.2.3)");
  CHECK(find_virtiofsd(program).is_rust);
  CHECK(find_virtiofsd(program).program == program);
  write_program(scratch, "echo something else; echo more; exit 3");
  CHECK_THROWS_WITH(find_virtiofsd(program),
                    program.string() +
                        " is no virtiofsd: --version printed \"something else\" and "
                        "ended with status 3");
  CHECK_THROWS_WITH(find_virtiofsd("/no/program"),
                    "files.virtiofsd: /no/program is not a program that can be executed");
}

TEST_CASE("virtiofsd: the one of this host is found", "[runtime]") {
  CHECK(fs::exists(find_virtiofsd({}).program));
}

TEST_CASE("file server: each virtiofsd gets its own options", "[runtime]") {
  const auto plan = [](bool is_rust) {
    return plan_file_server({.program = "/v", .is_rust = is_rust}, "/run/s", 77);
  };
  CHECK(plan(true).program == "/v");
  CHECK(plan(true).max_open_files == 77);
  CHECK(plan(true).arguments ==
        std::vector<std::string>{"--shared-dir=/run/s", "--xattr", "--rlimit-nofile=0"});
  CHECK(plan(false).arguments ==
        std::vector<std::string>{"-o", "source=/run/s,xattr", "--rlimit-nofile=0"});
}
