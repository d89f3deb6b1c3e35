// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/command.hpp"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <filesystem>
#include <fstream>

#include "lib/base/error.hpp"

using husk::agent::find_command;
namespace fs = std::filesystem;

namespace {
struct CommandDirectory {
  fs::path path;
  CommandDirectory() {
    std::string pattern = "/tmp/husk-command-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  CommandDirectory(const CommandDirectory&) = delete;
  CommandDirectory& operator=(const CommandDirectory&) = delete;
  ~CommandDirectory() { fs::remove_all(path); }
  void add(const std::string& name, mode_t mode) const {
    std::ofstream(path / name) << "x";
    ::chmod((path / name).c_str(), mode);
  }
};
}  // namespace

TEST_CASE("command: PATH of the process is searched in order, what cannot run is passed over") {
  const CommandDirectory first, second;
  first.add("tool", 0644);
  fs::create_directory(first.path / "other");
  second.add("tool", 0755);
  second.add("other", 0755);
  const std::string path = "PATH=" + first.path.string() + ":" + second.path.string();
  CHECK(find_command("tool", {"A=b", path}) == second.path / "tool");
  CHECK(find_command("other", {path}) == second.path / "other");
  CHECK(find_command("tool", {"PATH=/nowhere", path}) == second.path / "tool");
}

TEST_CASE("command: runc's words for what cannot be run") {
  const CommandDirectory directory;
  directory.add("data", 0644);
  const std::string here = directory.path.string();
  CHECK_THROWS_WITH(find_command("nope", {"PATH=" + here}),
                    "exec: \"nope\": executable file not found in $PATH");
  CHECK_THROWS_WITH(find_command("sh", {}), "exec: \"sh\": executable file not found in $PATH");
  CHECK_THROWS_WITH(find_command("", {"PATH=" + here}),
                    "exec: \"\": executable file not found in $PATH");
  CHECK_THROWS_WITH(find_command(here + "/no", {}),
                    "exec: \"" + here + "/no\": stat " + here + "/no: no such file or directory");
  CHECK_THROWS_WITH(find_command(here + "/data", {}),
                    "exec: \"" + here + "/data\": permission denied");
  CHECK_THROWS_WITH(find_command(here, {}), "exec: \"" + here + "\": is a directory");
}
