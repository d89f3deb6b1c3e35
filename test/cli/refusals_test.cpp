// SPDX-License-Identifier: Apache-2.0
// Whatever is wrong with a call: one line with runc's words where callers look for them, runc's
// status, nothing on disk. The texts were compared with runc 1.1.5's.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/files.hpp"
#include "test/cli/command_line.hpp"

using namespace husk;
using Catch::Matchers::ContainsSubstring;
using husk::test::CommandLine;
using Strings = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

/// A command and a call of it that is right, the container's id left out.
struct Call {
  const char* command;
  Strings before, after;  ///< the id

  Strings with(const Strings& flags, const Strings& ids) const {
    Strings words{command};
    for (const Strings* more : {&flags, &before, &ids, &after})
      words.insert(words.end(), more->begin(), more->end());
    return words;
  }
  int failure() const { return std::string(command) == "exec" ? 255 : 1; }
};

const std::vector<Call> calls{{"start", {}, {}},      {"state", {}, {}},
                              {"kill", {}, {"TERM"}}, {"delete", {}, {}},
                              {"pause", {}, {}},      {"resume", {}, {}},
                              {"ps", {}, {}},         {"update", {"--pids-limit", "5"}, {}},
                              {"events", {}, {}},     {"exec", {}, {"true"}}};

/// All that is below a directory, with times and contents.
std::string listing(const fs::path& directory) {
  std::string all;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    all += entry.path().string();
    if (entry.is_regular_file()) all += " " + read_file(entry.path(), 1u << 20);
    all += " " + std::to_string(entry.last_write_time().time_since_epoch().count()) + "\n";
  }
  return all;
}

struct Refusals : CommandLine {
  void check(const Strings& words, int status, const std::string& text) const {
    CAPTURE(words);
    const std::string before = listing(path());
    const auto result = (*this)(words);
    CHECK(result.status == status);
    CHECK_THAT(result.output, ContainsSubstring(text));
    CHECK(std::count(result.output.begin(), result.output.end(), '\n') == 1);
    CHECK(listing(path()) == before);
  }
};

}  // namespace

TEST_CASE("husk: an unknown container, in every command", "[cli]") {
  const Refusals husk;
  for (const Call& call : calls)
    husk.check(call.with({}, {"nobody"}), call.failure(), "container does not exist\n");
  husk.check({"kill", "--all", "nobody", "KILL"}, 1, "container does not exist\n");
  husk.check({"ps", "--format", "json", "nobody"}, 1, "container does not exist\n");
  husk.check({"events", "--stats", "nobody"}, 1, "container does not exist\n");
}

TEST_CASE("husk: no container, an id that is none, an unknown option, in every command", "[cli]") {
  const Refusals husk;
  for (const Call& call : calls) {
    husk.check(call.with({}, {"../x"}), call.failure(), "invalid container ID format");
    husk.check({call.command, "--nonsense", "c1"}, 1, "--nonsense");
    husk.check({call.command}, 1, "required");
  }
  husk.check({"delete", ""}, 1, "invalid container ID format");
  for (const char* command : {"create", "run"}) {
    husk.check({command, "../x"}, 1,
               std::string("husk ") + command + " failed: invalid container ID");
    husk.check({command, "--nonsense", "c1"}, 1, "--nonsense");
    husk.check({command}, 1, "required");
  }
  for (const char* command : {"list", "spec", "features"})
    husk.check({command, "--nonsense"}, 1, "--nonsense");
}

TEST_CASE("husk: a word too many, in every command that counts them", "[cli]") {
  const Refusals husk;
  for (const char* command :
       {"create", "run", "start", "state", "delete", "pause", "resume", "update", "events"})
    husk.check({command, "c1", "surplus"}, 1, "surplus");
  husk.check({"kill", "c1", "TERM", "surplus"}, 1, "surplus");
  for (const char* command : {"list", "spec", "features"})
    husk.check({command, "surplus"}, 1, "surplus");
}

TEST_CASE("husk: a container that has ended, in every command", "[cli]") {
  const Refusals husk;
  husk.add_record("c1");
  const std::map<std::string, std::string> texts{
      {"start", "cannot start a container that has stopped\n"},
      {"kill", "container not running\n"},
      {"pause", "container not running\n"},
      {"resume", "container not paused\n"},
      {"ps", "container not running\n"},
      {"update", "container not running\n"},
      {"events", "container with id c1 is not running\n"},
      {"exec", "exec failed: cannot exec in a stopped container\n"}};
  for (const Call& call : calls) {
    if (const auto text = texts.find(call.command); text != texts.end())
      husk.check(call.with({}, {"c1"}), call.failure(), text->second);
  }
  // What is for ps(1) is no hindrance: go-runc gives all of it as one word.
  husk.check({"ps", "--format", "json", "c1", "-o pid,args"}, 1, "container not running\n");
  const auto bundle = husk.path().string();
  CHECK(husk({"spec", "--bundle", bundle}).status == 0);
  auto config = nlohmann::json::parse(read_file(husk.path() / "config.json", 1u << 20));
  config["process"]["terminal"] = false;
  std::ofstream(husk.path() / "config.json") << config;
  fs::create_directory(husk.path() / "rootfs");
  husk.check({"create", "--bundle", bundle, "c1"}, 1,
             "husk create failed: container with given ID already exists\n");
}

TEST_CASE("husk: files that are not there or no files", "[cli]") {
  const Refusals husk;
  husk.add_record("c1");
  const std::string none = (husk.path() / "none").string(), folder = husk.root.string();
  for (const std::string& file : {none, folder}) {
    husk.check({"exec", "--process", file, "c1"}, 255, file);
    husk.check({"update", "--resources", file, "c1"}, 1, file);
    husk.check({"--config", file, "state", "c1"}, 1, file);
  }
  for (const char* command : {"create", "run"}) {
    husk.check({command, "--bundle", none, "c2"}, 1, none);
    husk.check({command, "--bundle", folder, "c2"}, 1,
               "failed: JSON specification file config.json not found\n");
  }
  husk.check({"spec", "--bundle", none}, 1, none);
}

TEST_CASE("husk: values that cannot be, by their names", "[cli]") {
  const Refusals husk;
  husk.add_record("c1");
  for (const char* option : {"--pids-limit", "--cpu-quota", "--memory", "--memory-swap"})
    husk.check({"update", option, "x", "c1"}, 1, option);
  for (const char* option : {"--l3-cache-schema", "--mem-bw-schema"})
    husk.check({"update", option, "x", "c1"}, 1, "cache allocation is not supported");
  husk.check({"events", "--interval", "x", "c1"}, 1, "--interval");
  husk.check({"events", "--interval", "0s", "c1"}, 1, "duration interval must be greater than 0");
  husk.check({"kill", "c1", "SIGNOPE"}, 1, "unknown signal \"SIGNOPE\"\n");
  husk.check({"exec", "--preserve-fds", "x", "c1", "true"}, 1, "--preserve-fds");
  husk.check({"exec", "--preserve-fds", "", "c1", "true"}, 1, "--preserve-fds");
  husk.check({"update", "--pids-limit=", "c1"}, 1, "--pids-limit");
  husk.check({"kill", "--all=", "c1"}, 1, "--all");
  husk.check({"update", "--cpu-period", "-1", "c1"}, 1, "--cpu-period");
  husk.check({"--log-format", "xml", "list"}, 1, "--log-format");
}

TEST_CASE("husk: a word that is no command is named", "[cli]") {
  const Refusals husk;
  husk.check({"nonsense"}, 3, "unknown command \"nonsense\"");
  for (const char* more : {"list", "create", "--help", "-x"})
    husk.check({"nonsense", more}, 3, "unknown command \"nonsense\"");
  husk.check({"help", "nonsense"}, 3, "unknown command \"nonsense\"");
  husk.check({"--nonsense"}, 1, "unknown option \"--nonsense\"");
}

TEST_CASE("husk: an option given twice counts as it was given last", "[cli]") {
  const Refusals husk;
  husk.add_record("c1");
  const auto root = husk.root.string();
  CHECK(CommandLine::plain({"--root", "/", "--log-format", "json", "--debug", "--debug",
                            "--log-format=text", "--root", root, "list", "-q"})
            .output == "c1\n");
  husk.check({"--root", "/", "list"}, 1, "--root");
  CHECK(husk({"list", "-f=json", "-format", "table", "-q"}).output == "c1\n");
}

TEST_CASE("husk: what older and newer callers pass is accepted", "[cli]") {
  const Refusals husk;
  for (const Strings& global : std::vector<Strings>{{"--criu", "criu"},
                                                    {"--criu=criu"},
                                                    {"--rootless", "auto"},
                                                    {"--rootless=false"},
                                                    {"--systemd-cgroup"},
                                                    {"-debug"}}) {
    CAPTURE(global);
    Strings words = global;
    words.insert(words.end(), {"list", "--format=json"});
    CHECK(husk(words).output == "null\n");
  }
  const std::string none = (husk.path() / "none").string();
  husk.check({"create", "--no-pivot", "--no-new-keyring", "--bundle=" + none, "c1"}, 1, none);
  husk.check({"run", "-no-subreaper", "-no-pivot", "-bundle", none, "c1"}, 1, none);
}

TEST_CASE("husk: help, as a word or an option, is a success and no error", "[cli]") {
  const auto whole = CommandLine::plain({"--help"});
  CHECK(whole.status == 0);
  CHECK(CommandLine::plain({"help"}).output == whole.output);
  const auto nothing = CommandLine::plain({"--debug"});
  CHECK(nothing.status == 0);
  CHECK(nothing.output == whole.output);
  const auto one = CommandLine::plain({"kill", "-help"});
  CHECK(one.status == 0);
  CHECK_THAT(one.output, ContainsSubstring("husk kill"));
  CHECK(CommandLine::plain({"help", "kill"}).output == one.output);
}

TEST_CASE("husk: what Podman and CRI-O ask about checkpoints is answered with no", "[cli]") {
  for (const Strings& words :
       std::vector<Strings>{{"checkpoint", "--help"}, {"restore", "--lsm-mount-context"}}) {
    const auto result = CommandLine::plain(words);
    CHECK(result.status == 1);
    CHECK_THAT(result.output, !ContainsSubstring("argument") && ContainsSubstring("not supported"));
  }
}
