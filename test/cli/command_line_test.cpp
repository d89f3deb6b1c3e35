// SPDX-License-Identifier: Apache-2.0
// The program itself, as callers call it; nothing here comes as far as a VM.
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/files.hpp"
#include "test/cli/command_line.hpp"

using namespace husk;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Matches;
using husk::test::CommandLine;
using Strings = std::vector<std::string>;
namespace fs = std::filesystem;

TEST_CASE("husk: says its version as callers read it, and touches nothing", "[cli]") {
  const auto result = CommandLine::plain({"--version"});
  CHECK(result.status == 0);
  CHECK_THAT(result.output,
             Matches("husk version [0-9.]+\n(commit: [0-9a-z.-]+\n)?spec: [0-9.]+\n"));
  CHECK(CommandLine::plain({"-v"}).output == result.output);
}

TEST_CASE("husk: help is a success for every command but those it has not", "[cli]") {
  for (const char* command : {"create", "start", "run", "exec", "ps", "kill", "delete", "state",
                              "list", "features", "spec"}) {
    CAPTURE(command);
    const auto result = CommandLine::plain({command, "--help"});
    CHECK(result.status == 0);
    CHECK_THAT(result.output, ContainsSubstring(command));
  }
  for (const char* command : {"checkpoint", "restore"}) {
    CAPTURE(command);
    CHECK(CommandLine::plain({command, "--help"}).status == 1);
  }
}

TEST_CASE("husk: what is wrong on the command line is one line, with status 1 or exec's 255",
          "[cli]") {
  const CommandLine husk;
  struct Case {
    Strings arguments;
    int status;
    const char* text;
  };
  const std::vector<Case> cases{
      {{"nonsense"}, 3, "see husk --help"},
      {{"create"}, 1, "container-id is required"},
      {{"create", "--nonsense", "c1"}, 1, "--nonsense"},
      {{"--log-format", "xml", "list"}, 1, "xml"},
      {{"state"}, 1, "container-id is required"},
      {{"kill", "c1", "SIGNONSENSE"}, 1, "SIGNONSENSE"},
      {{"kill", "c1", "65"}, 1, "65"},
      {{"list", "--format", "yaml"}, 1, "yaml"},
      {{"ps"}, 1, "a container id is required"},
      {{"ps", "c1"}, 1, "container does not exist"},
      {{"ps", "--format", "xml", "c1"}, 1, "xml"},
      {{"ps", "c1", "-ef"}, 1, "are not supported"},
      {{"exec"}, 1, "a container id is required"},
      {{"exec", "--nonsense", "c1", "true"}, 1, "--nonsense"},
      {{"exec", "c1"}, 255, "process args cannot be empty"},
      {{"exec", "c1", "true"}, 255, "container does not exist"},
      {{"exec", "--preserve-fds", "1", "c1", "true"}, 255, "cannot be passed into a VM"},
      {{"exec", "--process", "/nonexistent", "c1"}, 255, "/nonexistent"},
      {{"create", "--preserve-fds", "1", "c1"}, 1, "cannot be passed into a VM"},
      {{"create", "--bundle", "/nonexistent", "c1"}, 1, "bundle /nonexistent"},
      {{"checkpoint", "c1"}, 1, "checkpoint is not supported"},
  };
  for (const auto& [arguments, status, text] : cases) {
    CAPTURE(arguments);
    const auto result = husk(arguments);
    CHECK(result.status == status);
    CHECK_THAT(result.output, ContainsSubstring(text));
    CHECK(std::count(result.output.begin(), result.output.end(), '\n') == 1);
  }
  CHECK(fs::is_empty(husk.path()));
}

TEST_CASE("husk: options of exec end with the container's id", "[cli]") {
  const CommandLine husk;
  // --nonsense is the command's own: the container is what is missing.
  CHECK_THAT(husk({"exec", "-e", "A=1", "-g", "7", "c1", "ls", "--nonsense"}).output,
             ContainsSubstring("container does not exist"));
  CHECK_THAT(husk({"exec", "--nonsense", "c1", "ls"}).output, ContainsSubstring("--nonsense"));
}

TEST_CASE("husk: exec's process file is read as config.json is", "[cli]") {
  const CommandLine husk;
  husk.add_record("c1");
  const fs::path file = husk.path() / "process.json";
  const auto exec = [&](const std::string& text) {
    std::ofstream(file) << text;
    return husk({"exec", "--process", file.string(), "c1"}).output;
  };
  CHECK_THAT(exec("{"), ContainsSubstring("malformed JSON"));
  CHECK_THAT(exec(R"({"args": "ls", "cwd": "/"})"), ContainsSubstring("args"));
  CHECK_THAT(exec(std::string(200, '[')), ContainsSubstring("nested deeper"));
  CHECK_THAT(exec(R"({"args": ["ls"], "cwd": "/"})"),
             ContainsSubstring("cannot exec in a stopped container"));
  CHECK_THAT(husk({"exec", "--process", file.string(), "c1", "ls"}).output,
             ContainsSubstring("cannot be combined with a command"));
}

TEST_CASE("husk: list and state print a container that has ended", "[cli]") {
  const CommandLine husk;
  CHECK(husk({"list", "--format", "json"}).output == "null\n");
  husk.add_record("c1");
  fs::create_directories(husk.root / "foreign");
  std::ofstream(husk.root / "foreign" / "state.json") << "{}";
  const std::string printed = husk({"state", "c1"}).output;
  CHECK_THAT(printed, Matches("\\{\n  \"ociVersion\": [^\\x00]*\n  \"owner\": \"root\"\n\\}"));
  const auto state = nlohmann::json::parse(printed);
  CHECK(state.at("status") == "stopped");
  CHECK(state.at("pid") == 0);
  CHECK(state.at("bundle") == "/b");
  const auto list = nlohmann::json::parse(husk({"list", "-f", "json"}).output);
  REQUIRE(list.size() == 1);
  CHECK(list.at(0).at("id") == "c1");
  CHECK(husk({"list", "-q"}).output == "c1\n");
  CHECK_THAT(husk({"list"}).output,
             Matches("ID +PID +STATUS +BUNDLE +CREATED +OWNER\n"
                     "c1 +0 +stopped +/b +2026-01-02T03:04:05.678Z +root\n"));
}

TEST_CASE("husk: list has columns as wide as their longest entry, in letters as runc's", "[cli]") {
  const CommandLine husk;
  CHECK(husk({"list"}).output ==
        "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
  husk.add_record("a");
  husk.add_record("a-long-name.1", "/b\xc3\xbc\xe2\x82\xac/bundle");
  CHECK(husk({"list"}).output ==
        "ID              PID         STATUS      BUNDLE        CREATED                    OWNER\n"
        "a               0           stopped     /b            2026-01-02T03:04:05.678Z   root\n"
        "a-long-name.1   0           stopped     /b\xc3\xbc\xe2\x82\xac/bundle   "
        "2026-01-02T03:04:05.678Z   root\n");
  CHECK(husk({"list", "-q", "-f", "json"}).output == "a\na-long-name.1\n");
}

TEST_CASE("husk: commands on a container that has ended say runc's words", "[cli]") {
  const CommandLine husk;
  husk.add_record("c1");
  CHECK_THAT(husk({"start", "c1"}).output,
             ContainsSubstring("cannot start a container that has stopped"));
  CHECK_THAT(husk({"kill", "c1"}).output, ContainsSubstring("container not running"));
  CHECK(husk({"kill", "--all", "c1", "9"}).status == 0);
  CHECK_THAT(husk({"ps", "--format", "json", "c1"}).output,
             ContainsSubstring("container not running"));
  CHECK(husk({"delete", "--force", "nobody"}).status == 0);
}

TEST_CASE("husk: spec writes a config.json once", "[cli]") {
  const CommandLine husk;
  CHECK(husk({"spec", "--bundle", husk.path().string()}).status == 0);
  const auto spec = nlohmann::json::parse(read_file(husk.path() / "config.json", 1u << 20));
  CHECK(spec.at("process").at("args") == nlohmann::json{"sh"});
  const auto again = husk({"spec", "--bundle", husk.path().string()});
  CHECK(again.status == 1);
  CHECK_THAT(again.output, ContainsSubstring("config.json"));
}

TEST_CASE("husk: spec's keys are in the order of runc's", "[cli]") {
  const CommandLine husk;
  REQUIRE(husk({"spec", "--bundle", husk.path().string()}).status == 0);
  const auto spec = nlohmann::ordered_json::parse(read_file(husk.path() / "config.json", 1u << 20));
  const auto keys = [](const nlohmann::ordered_json& object) {
    std::string names;
    for (const auto& [key, value] : object.items()) names += (names.empty() ? "" : " ") + key;
    return names;
  };
  CHECK(keys(spec) == "ociVersion process root hostname mounts linux");
  CHECK(keys(spec.at("process")) ==
        "terminal user args env cwd capabilities rlimits noNewPrivileges");
  CHECK(spec.at("process").at("rlimits").dump() ==
        R"([{"type":"RLIMIT_NOFILE","hard":1024,"soft":1024}])");
  CHECK(keys(spec.at("root")) == "path readonly");
  CHECK(keys(spec.at("mounts").at(1)) == "destination type source options");
  CHECK(keys(spec.at("linux")) == "resources namespaces maskedPaths readonlyPaths");
  CHECK(spec.at("linux").at("resources").dump() ==
        R"({"devices":[{"allow":false,"access":"rwm"}]})");
}

TEST_CASE("husk: a bundle is where the kernel finds it, behind a symbolic link too", "[cli]") {
  const CommandLine husk;
  fs::create_directories(husk.path() / "real" / "below");
  fs::create_directory_symlink("real/below", husk.path() / "link");
  const std::string behind = (husk.path() / "link" / "..").string();
  CHECK(husk({"spec", "--bundle", behind}).status == 0);
  CHECK(fs::exists(husk.path() / "real" / "config.json"));
  CHECK_FALSE(fs::exists(husk.path() / "config.json"));
  // Found there, or it would be the config.json that is missing; the root file system is.
  CHECK_THAT(husk({"create", "--bundle", behind, "c1"}).output,
             ContainsSubstring((husk.path() / "real" / "rootfs").string()));
}

TEST_CASE("husk: features is JSON on stdout, without a root and without a word on stderr",
          "[cli]") {
  const auto result = CommandLine::plain({"features"});
  REQUIRE(result.status == 0);
  const auto features = nlohmann::json::parse(result.output);  // which has stderr in it as well
  CHECK_THAT(features.at("ociVersionMax").get<std::string>(), Matches("[0-9.]+"));
  const auto& options = features.at("mountOptions");
  CHECK(std::find(options.begin(), options.end(), "rbind") != options.end());
  CHECK(features.at("linux").at("namespaces").size() > 3);
}

TEST_CASE("husk: ids that are none are refused by every command, and make nothing", "[cli]") {
  const CommandLine husk;
  for (const char* id : {"..", ".", "a/b", "a b", "\xff", "a\n"}) {
    for (const Strings& words :
         std::vector<Strings>{{"state"}, {"start"}, {"kill"}, {"delete"}, {"ps"}, {"create"}}) {
      CAPTURE(id, words);
      Strings arguments = words;
      arguments.emplace_back(id);
      const auto result = husk(arguments);
      CHECK(result.status == 1);
      CHECK_THAT(result.output, ContainsSubstring("invalid container ID format"));
    }
    CHECK_THAT(husk({"exec", id, "true"}).output, ContainsSubstring("invalid container ID format"));
  }
  CHECK(fs::is_empty(husk.path()));
}

TEST_CASE("husk: a root or a configuration that cannot be is named", "[cli]") {
  const CommandLine husk;
  for (const char* root : {"/", "//", "/..", ""}) {
    CAPTURE(root);
    const auto result = CommandLine::plain({"--root", root, "state", "c1"});
    CHECK(result.status == 1);
    CHECK_THAT(result.output, ContainsSubstring("--root"));
  }
  const fs::path file = husk.path() / "config.toml";
  CHECK_THAT(husk({"--config", file.string(), "state", "c1"}).output,
             ContainsSubstring("does not exist"));
  std::ofstream(file) << "[vm]\nmemory = 5\n";
  CHECK_THAT(husk({"--config", file.string(), "state", "c1"}).output,
             ContainsSubstring("config.toml") && ContainsSubstring("memory"));
  std::ofstream(file) << "[vm]\nmemory_mib = \"many\"\n";
  CHECK_THAT(husk({"--config", file.string(), "state", "c1"}).output,
             ContainsSubstring("memory_mib"));
}
