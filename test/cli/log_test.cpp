// SPDX-License-Identifier: Apache-2.0
// --log: what containerd and Podman read there.
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/files.hpp"
#include "test/cli/command_line.hpp"

using namespace husk;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Matches;
using husk::test::CommandLine;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

struct Logged : CommandLine {
  std::string operator()(std::vector<std::string> words) const {
    words.insert(words.begin(), {"--log", log.string(), "--log-format", "json"});
    const auto result = CommandLine::operator()(words);
    CHECK(result.status == 1);
    return result.output;
  }
  std::string create(const std::string& id, const std::string& bundle) const {
    return (*this)({"create", "--bundle", bundle, id});
  }
  std::vector<json> entries() const {
    std::vector<json> all;
    std::ifstream file(log);
    for (std::string line; std::getline(file, line);) all.push_back(json::parse(line));
    return all;
  }
};

}  // namespace

TEST_CASE("husk: the log has the one error, growing, in the form asked for", "[cli]") {
  const CommandLine husk;
  husk({"--log", husk.log.string(), "--log-format", "json", "state", "c1"});
  husk({"--log", husk.log.string(), "--log-format", "json", "start", "c2"});
  std::ifstream file(husk.log);
  std::string line;
  for (int count = 0; count < 2; ++count) {
    REQUIRE(std::getline(file, line));
    const auto entry = nlohmann::json::parse(line);
    CHECK(entry.at("level") == "error");
    CHECK(entry.at("msg") == "container does not exist");
    CHECK_THAT(entry.at("time").get<std::string>(),
               Matches(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z)"));
  }
  CHECK_FALSE(std::getline(file, line));
  struct stat status {};
  REQUIRE(::stat(husk.log.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0644);
  fs::remove(husk.log);
  husk({"--log", husk.log.string(), "state", "c1"});
  CHECK_THAT(read_file(husk.log, 4096),
             Matches("time=\"[^\"]+\" level=error msg=\"container does not exist\"\n"));
}

TEST_CASE("husk: the error in the log is the one on stderr, on one line", "[cli]") {
  const Logged husk;
  const std::string said = husk.create("c1", "/no\nsuch");
  REQUIRE(husk.entries().size() == 1);
  CHECK(husk.entries()[0].at("msg").get<std::string>() + "\n" == said);
  CHECK_THAT(said, ContainsSubstring("husk create failed: bundle /no such"));
}

TEST_CASE("husk: a create that fails again takes the place of what it said before", "[cli]") {
  const Logged husk;
  husk.create("c1", "/first");
  husk.create("c1", "/second");
  REQUIRE(husk.entries().size() == 1);  // Podman reads the whole file as one object
  CHECK_THAT(husk.entries()[0].at("msg").get<std::string>(), ContainsSubstring("/second"));
  CHECK_THAT(husk.entries()[0].at("time").get<std::string>(), ContainsSubstring("T"));

  SECTION("but not of another container's") {
    husk.create("c2", "/third");
    husk.create("c1", "/fourth");
    CHECK(husk.entries().size() == 3);
  }
  SECTION("and not of another command's") {
    husk({"start", "c1"});
    husk.create("c1", "/third");
    REQUIRE(husk.entries().size() == 3);
    CHECK_FALSE(husk.entries()[1].contains("id"));
  }
  SECTION("nor what others wrote, were it no JSON") {
    std::ofstream(husk.log) << "words\n\n{\n[1]\n{\"id\":1}\nno end {\"id\":\"c1\"}";
    const auto before = fs::file_size(husk.log);
    husk.create("c1", "/third");
    CHECK(fs::file_size(husk.log) > before);
  }
  SECTION("and all of it stays with --debug") {
    husk({"--debug", "create", "--bundle", "/third", "c1"});
    CHECK(husk.entries().size() >= 2);
  }
}

TEST_CASE("husk: a wrong value is in the log too", "[cli]") {
  const Logged husk;
  husk({"exec", "--preserve-fds=", "c1", "true"});
  husk({"update", "--pids-limit", "x", "c1"});
  REQUIRE(husk.entries().size() == 2);
  CHECK_THAT(husk.entries()[0].at("msg").get<std::string>(), ContainsSubstring("--preserve-fds"));
  CHECK_THAT(husk.entries()[1].at("msg").get<std::string>(), ContainsSubstring("--pids-limit"));
}

TEST_CASE("husk: an empty value is none, and takes no other word", "[cli]") {
  const CommandLine husk;
  CHECK(husk({"--log=", "state", "c1"}).output == "container does not exist\n");
  CHECK(husk({"--log", "", "exec", "--pid-file=", "--pidfd-socket", "", "c1", "true"}).output ==
        "exec failed: container does not exist\n");
  CHECK(husk({"--log-format=", "exec", "--process=", "c1", "true"}).output ==
        "exec failed: container does not exist\n");
  CHECK(husk({"update", "--resources=", "--cpu-period=", "--cpu-quota", "", "--memory=", "c1"})
            .output == "container does not exist\n");
  // As runc: the current directory.
  CHECK(husk({"create", "--bundle=", "c1"}).output ==
        "husk create failed: JSON specification file config.json not found\n");
}
