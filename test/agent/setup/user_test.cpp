// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/user.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>

#include "lib/base/unique_fd.hpp"

using husk::agent::complete_environment;
using husk::agent::find_home;

TEST_CASE("user: the home directory is found by number, in files of any shape") {
  const std::string passwd =
      "root:x:0:0:root:/root:/bin/sh\n\nbroken\n:::\nnot:x:10x:1::/bad:\nme:x:10:10::/home/me";
  CHECK(find_home(passwd, 0) == "/root");
  CHECK(find_home(passwd, 10) == "/home/me");
  CHECK_FALSE(find_home(passwd, 11));
  CHECK_FALSE(find_home("", 0));
  CHECK_FALSE(find_home("nobody:x:5:5:::", 5));
}

TEST_CASE("user: HOME is added unless the process has one; a pipe for passwd does not block") {
  namespace fs = std::filesystem;
  std::string pattern = "/tmp/husk-user-XXXXXX";
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  const fs::path root = pattern;
  fs::create_directory(root / "etc");
  const husk::UniqueFd fd{::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  husk::oci::Process process;
  process.env = {"A=b"};
  CHECK(complete_environment(fd.get(), process) == std::vector<std::string>{"A=b", "HOME=/"});
  std::ofstream(root / "etc/passwd") << "x:x:0:0::/where:\n";
  CHECK(complete_environment(fd.get(), process).back() == "HOME=/where");
  fs::remove(root / "etc/passwd");
  REQUIRE(::mkfifo((root / "etc/passwd").c_str(), 0600) == 0);
  CHECK(complete_environment(fd.get(), process).back() == "HOME=/");
  process.env = {"HOME=/mine"};
  CHECK(complete_environment(fd.get(), process) == process.env);
  fs::remove_all(root);
}

TEST_CASE("user: the last value of a name counts, and HOME is looked at after that") {
  const husk::UniqueFd root{::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  husk::oci::Process process;
  process.env = {"A=1", "HOME=/old", "AB=x", "A=2", "B=", "HOME=/new", "A=3=4"};
  CHECK(complete_environment(root.get(), process) ==
        std::vector<std::string>{"AB=x", "B=", "HOME=/new", "A=3=4"});
  process.user.uid = 4'000'000'000;
  process.env = {"HOME=/old", "HOME="};
  CHECK(complete_environment(root.get(), process) == std::vector<std::string>{"HOME=/"});
}
