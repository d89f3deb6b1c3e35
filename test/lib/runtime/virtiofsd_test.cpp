// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/virtiofsd.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/runtime/host/guest_kernel.hpp"
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
  CHECK(find_virtiofsd(program) == program);
  CHECK(identify_virtiofsd(program).is_rust);
  CHECK(identify_virtiofsd(program).program == program);
  CHECK(identify_virtiofsd(program).version == "1.2.3");
  write_program(scratch, "echo something else; echo more; exit 3");
  CHECK_THROWS_WITH(identify_virtiofsd(program),
                    program.string() +
                        " is no virtiofsd: --version printed \"something else\" and "
                        "ended with status 3");
  CHECK_THROWS_WITH(find_virtiofsd("/no/program"),
                    "files.virtiofsd: /no/program is not a program that can be executed");
}

TEST_CASE("virtiofsd: the one of this host is found", "[runtime]") {
  const Virtiofsd virtiofsd = identify_virtiofsd(find_virtiofsd({}));
  CHECK(fs::exists(virtiofsd.program));
  CHECK_FALSE(virtiofsd.version.empty());
}

TEST_CASE("file_server_setup: each virtiofsd gets its own options", "[runtime]") {
  const auto plan = [](bool is_rust, const FileOptions& options = {},
                       const std::string& kernel = "6.1.0-57-cloud-amd64") {
    return file_server_setup(plan_file_server("/v", {"/run/s", kernel, 77, false}, options),
                             {.program = "/v", .is_rust = is_rust});
  };
  CHECK(plan(true).program == "/v");
  CHECK(plan(true).max_open_files == 77);
  CHECK(plan(true).arguments == std::vector<std::string>{"--shared-dir=/run/s", "--xattr",
                                                         "--cache=auto", "--log-level=warn",
                                                         "--posix-acl", "--thread-pool-size=0",
                                                         "--rlimit-nofile=0"});
  CHECK(plan(false).arguments ==
        std::vector<std::string>{"-o", "source=/run/s,xattr,log_level=warn,cache=auto",
                                 "--thread-pool-size=0", "--rlimit-nofile=0"});
  const FileOptions never{.cache = FileCache::never, .threads = 4};
  CHECK(plan(true, never).arguments.at(2) == "--cache=never");
  CHECK(plan(true, never).arguments.at(5) == "--thread-pool-size=4");
  CHECK(plan(false, never).arguments.at(1) == "source=/run/s,xattr,log_level=warn,cache=none");
  CHECK(plan(true, {.cache = FileCache::metadata}).arguments.at(2) == "--cache=metadata");
  const auto share = [](bool may_wait) { return ServedShare{"/run/s", "6.1.0", 77, may_wait}; };
  CHECK(plan_file_server("/v", share(true), {}).threads == 16);
  CHECK(plan_file_server("/v", share(false), {}).threads == 0);
  CHECK(plan_file_server("/v", share(true), {.threads = 0}).threads == 0);
  // A kernel that the administrator has named.
  const auto unknown = plan(true, {}, "").arguments;
  CHECK(std::ranges::find(unknown, "--posix-acl") == unknown.end());
  CHECK(plan(true, {}, "6.12.117-husk").arguments.at(5) == "--killpriv-v2");
  CHECK(plan(false, {}, "6.12.117-husk").arguments == plan(false).arguments);
  CHECK_THROWS_WITH(plan(false, {.cache = FileCache::metadata}),
                    "files.cache: /v has no \"metadata\": it is the older virtiofsd, in C");
}

TEST_CASE("asked_files: annotations change what is usual", "[runtime]") {
  const FileOptions usual{.cache = FileCache::never, .threads = 3};
  CHECK(asked_files({{"other", "x"}}, usual) == usual);
  CHECK(asked_files({{"io.husk.files.cache", "always"}}, usual) ==
        FileOptions{.cache = FileCache::always, .threads = 3});
  CHECK(asked_files({{"io.husk.files.threads", "0"}}, usual) ==
        FileOptions{.cache = FileCache::never, .threads = 0});
  CHECK_THROWS_WITH(asked_files({{"io.husk.files.cache", "none"}}, usual),
                    "annotations[\"io.husk.files.cache\"]: \"none\" is none of auto, always, "
                    "metadata and never");
  CHECK_THROWS_WITH(asked_files({{"io.husk.files.threads", "65"}}, usual),
                    "annotations[\"io.husk.files.threads\"]: must be between 0 and 64");
}

TEST_CASE("find_kernel_release: the name of the directory of modules", "[runtime]") {
  const test::Scratch scratch;
  CHECK(find_kernel_release(scratch.path() / "none").empty());
  std::ofstream(scratch.path() / "modprobe") << "x";
  CHECK(find_kernel_release(scratch.path()).empty());
  fs::create_directory(scratch.path() / "6.12.117-husk");
  CHECK(find_kernel_release(scratch.path()) == "6.12.117-husk");
  CHECK(is_own_kernel("6.12.117-husk"));
  CHECK_FALSE(is_own_kernel("6.12.0-1-cloud-amd64"));
  fs::create_directory(scratch.path() / "6.1.0-57-cloud-amd64");
  CHECK(find_kernel_release(scratch.path()).empty());
}

TEST_CASE("is_kernel_since: compares numbers, not text", "[runtime]") {
  CHECK(is_kernel_since("6.12.117-husk", 6, 12));
  CHECK(is_kernel_since("6.13", 6, 12));
  CHECK(is_kernel_since("7.0.1", 6, 12));
  CHECK_FALSE(is_kernel_since("6.1.0-57-cloud-amd64", 6, 12));
  CHECK_FALSE(is_kernel_since("5.15.0", 6, 12));
  CHECK_FALSE(is_kernel_since("", 6, 12));
  CHECK_FALSE(is_kernel_since("husk", 6, 12));
}
