// SPDX-License-Identifier: Apache-2.0
// What commands make of their flags before lib/runtime sees them.
#include <CLI/CLI.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

#include "cli/app.hpp"
#include "cli/words.hpp"
#include "lib/base/error.hpp"
#include "test/cli/command_line.hpp"

using namespace husk;
using namespace husk::cli;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using Strings = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

/// A command line in this process, with a root of its own.
struct InProcess : test::CommandLine {
  /// The text of what its command throws, or of a wrong call; empty: it succeeded.
  std::string refusal(const Strings& words, int* status = nullptr) const {
    GlobalOptions options;
    options.root = root;
    int own = 0;
    const auto app = make_app(options, status == nullptr ? own : *status);
    Strings given = spell_out(*app, words);
    std::reverse(given.begin(), given.end());
    try {
      app->parse(std::move(given));
      return {};
    } catch (const std::exception& e) {
      return e.what();
    }
  }
  std::string write(const char* name, const std::string& text) const {
    std::ofstream(path() / name) << text;
    return (path() / name).string();
  }
};

struct Refusal {
  Strings words;
  std::string text;
};

/// What an update and an exec say that got as far as the container, which has ended.
const std::string ended = "container not running", stopped = "cannot exec in a stopped container";

}  // namespace

TEST_CASE("arguments: paths are absolute, an empty one is none or the current directory", "[cli]") {
  CHECK_FALSE(given_path(""));
  CHECK(given_path("/a/pid") == "/a/pid");
  CHECK(given_path("pid") == fs::current_path() / "pid");
  CHECK(given_bundle("") == fs::canonical("."));
  CHECK(given_bundle("/usr/bin/..") == "/usr");
  CHECK(given_bundle("/none/./a/..") == "/none/");
  CHECK(given_bundle("none") == fs::current_path() / "none");
}

TEST_CASE("arguments: a create has what its flags say", "[cli]") {
  BundleOptions flags;
  flags.id = "c1";
  flags.bundle = "/none";
  runtime::CreateRequest request = make_request(flags, {});
  CHECK(request.id == "c1");
  CHECK(request.bundle == "/none");
  CHECK_FALSE(request.pid_file);
  CHECK_FALSE(request.pidfd_socket);
  CHECK_FALSE(request.streams.console_socket);
  CHECK_FALSE(request.systemd_cgroup);

  flags.pid_file = "pid", flags.console_socket = "/s/console", flags.pidfd_socket = "pidfd";
  GlobalOptions global;
  global.systemd_cgroup = true;
  request = make_request(flags, global);
  CHECK(request.pid_file == fs::current_path() / "pid");  // also after a chdir
  CHECK(request.streams.console_socket == "/s/console");
  CHECK(request.pidfd_socket == fs::current_path() / "pidfd");
  CHECK(request.systemd_cgroup);

  flags.preserve_fds = 3;
  CHECK_THROWS_WITH(make_request(flags, global),
                    "--preserve-fds: file descriptors cannot be passed into a VM");
}

TEST_CASE("arguments: the container's id comes first, where a command takes its own words",
          "[cli]") {
  CHECK_NOTHROW(check_id_first("exec", {"c1", "-x"}));
  CHECK_THROWS_WITH(check_id_first("exec", {}), "exec: a container id is required");
  CHECK_THROWS_WITH(check_id_first("ps", {"-x", "c1"}), "ps: unknown option -x");
  CHECK_THROWS_WITH(check_id_first("ps", {"--", "c1"}), "ps: unknown option --");
}

TEST_CASE("update: limits of every option are read before the container is", "[cli]") {
  const InProcess husk;
  husk.add_record("c1");
  const auto number = [](const char* option, const char* text) {
    return std::string(option) + ": \"" + text + "\" is not a valid number";
  };
  const Refusal cases[] = {
      {{"--memory", "64m", "--memory-swap=-1", "--memory-reservation", "32MiB"}, ended},
      {{"--memory", "64q"}, "--memory: \"64q\" is not a valid size"},
      {{"--memory-swap=-2"}, "--memory-swap: \"-2\" is not a valid size"},
      {{"--memory-reservation", "9e9"}, "--memory-reservation: \"9e9\" is not a valid size"},
      {{"--cpu-share", "1024", "--cpu-period=100000", "--cpu-quota=-1", "--cpu-idle", "1"}, ended},
      {{"--cpu-share=-1"}, number("--cpu-share", "-1")},
      {{"--cpu-period", "1.5"}, number("--cpu-period", "1.5")},
      {{"--cpu-quota", "100ms"}, number("--cpu-quota", "100ms")},
      {{"--cpu-burst", "18446744073709551616"}, number("--cpu-burst", "18446744073709551616")},
      {{"--cpu-burst", "18446744073709551615"}, ended},
      {{"--cpu-idle", "yes"}, number("--cpu-idle", "yes")},
      {{"--pids-limit=-1"}, ended},
      {{"--blkio-weight", "x", "--cpuset-cpus", "0-3", "--cpuset-mems", "0", "--kernel-memory", ""},
       ended},
      {{"--l3-cache-schema", "L3:0=f"}, "--l3-cache-schema: cache allocation is not supported"},
      {{"--mem-bw-schema=", "--l3-cache-schema="}, ended},
      {{}, ended}};
  for (const auto& [words, text] : cases) {
    CAPTURE(words);
    Strings all{"update"};
    all.insert(all.end(), words.begin(), words.end());
    all.emplace_back("c1");
    CHECK(husk.refusal(all) == text);
  }
}

TEST_CASE("update: a file of limits is hostile, and counts alone", "[cli]") {
  const InProcess husk;
  husk.add_record("c1");
  const auto update = [&](const std::string& text, const Strings& more = {}) {
    Strings words{"update", "-r", husk.write("limits.json", text)};
    words.insert(words.end(), more.begin(), more.end());
    words.emplace_back("c1");
    std::string said = husk.refusal(words);
    const std::string name = (husk.path() / "limits.json").string() + ": ";
    if (said.starts_with(name)) said.erase(0, name.size());  // which is there once
    return said;
  };
  CHECK(update(R"({"memory": {"limit": 67108864}, "pids": {"limit": 5}})") == ended);
  // As with runc: the options beside it are not looked at.
  CHECK(update("{}", {"--memory", "nonsense", "--l3-cache-schema", "x"}) == ended);
  CHECK_THAT(update("{"), StartsWith("malformed JSON at byte 2"));
  CHECK_THAT(update(""), StartsWith("malformed JSON at byte 1"));
  CHECK(update("[]") == "resources: expected an object, found an array");
  CHECK(update(R"({"memory": {"limit": "64m"}})") ==
        "resources.memory.limit: expected a number, found a string \"64m\"");
  CHECK(update(R"({"cpu": {"shares": -1}})") ==
        "resources.cpu.shares: -1 is not in 0 to 18446744073709551615");
  CHECK(update(R"({"pids": {}, "pids": {}})") == "field \"pids\" is given twice");
  CHECK(update(std::string(100, '[')) == "nested deeper than 64 levels");
  CHECK(update(std::string((std::size_t{8} << 20) + 1, ' ')) == "larger than 8388608 bytes");
}

TEST_CASE("exec: its words are the id and the command, or the id and a file", "[cli]") {
  const InProcess husk;
  husk.add_record("c1");
  const std::string file = husk.write("p.json", R"({"args": ["ls"], "cwd": "/"})");
  const std::string bad = husk.write("bad.json", R"({"args": ["ls"]})");
  const std::string cut = husk.write("cut.json", "{");
  const Refusal cases[] = {
      {{"c1", "ls", "-l", "--tty"}, stopped},
      {{"--cwd=", "-u", "", "c1", "ls"}, stopped},
      {{"-e", "A=1", "-e", "B=2", "-g", "1", "-g", "2", "-c", "CAP_KILL", "c1", "ls"}, stopped},
      {{"c1"}, "exec: process args cannot be empty"},
      {{"-p", file, "c1"}, stopped},
      {{"-p", file, "-t", "--console-socket", "s", "c1"}, stopped},
      {{"-p", file, "c1", "ls"}, "exec: --process cannot be combined with a command"},
      {{"-p", bad, "c1"}, bad + ": process.cwd: required but missing"},
      {{"-p", cut, "c1"},
       cut +
           ": malformed JSON at byte 2: syntax error while parsing object key - unexpected end of "
           "input; expected string literal"},
      {{"--preserve-fds", "1", "-p", bad, "c1"},
       "--preserve-fds: file descriptors cannot be passed into a VM"},
      {{"--process-label", "x", "--apparmor", "y", "--ignore-paused", "c1", "ls"}, stopped}};
  for (const auto& [words, text] : cases) {
    CAPTURE(words);
    Strings all{"exec"};
    all.insert(all.end(), words.begin(), words.end());
    int status = 0;
    CHECK(husk.refusal(all, &status) == text);
    CHECK(status == 255);
  }
  int status = 0;  // what is wrong with the call itself is told by another status
  CHECK(husk.refusal({"exec", "--nonsense", "c1", "ls"}, &status) ==
        "exec: unknown option --nonsense");
  CHECK(husk.refusal({"exec", "--preserve-fds", "-1", "c1", "ls"}, &status) != "");
  CHECK(status == 0);
}

TEST_CASE("internal: is for keepers, and knows their commands alone", "[cli]") {
  const InProcess husk;
  CHECK(husk.refusal({"internal", "nonsense", "x"}) == "internal: unknown command \"nonsense\"");
  CHECK(husk.refusal({"internal", "nonsense"}) == "vm-id is required");
  CHECK(husk.refusal({"internal"}) == "command is required");
  CHECK(test::CommandLine::plain({"--help"}).output.find("internal") == std::string::npos);
}
