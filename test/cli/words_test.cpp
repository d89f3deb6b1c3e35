// SPDX-License-Identifier: Apache-2.0
#include "cli/words.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <sstream>

#include "cli/app.hpp"

using namespace husk::cli;

namespace {

using Words = std::vector<std::string>;

Words split(const std::string& text) {
  std::istringstream stream(text);
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string spelled(const std::string& text) {
  GlobalOptions options;
  int status = 0;
  std::string joined;
  for (const std::string& word : spell_out(*make_app(options, status), split(text)))
    joined += (joined.empty() ? "" : " ") + word;
  return joined;
}

}  // namespace

TEST_CASE("spell_out: one dash is as good as two, and = after a letter ends it", "[cli]") {
  const std::pair<const char*, const char*> cases[] = {
      {"-root /r -log=/l run -no-subreaper -bundle /b c1",
       "--root /r --log=/l run --no-subreaper --bundle /b c1"},
      {"list -f=json -q", "list --format=json -q"},
      {"exec -e=A=1 -e B=2 -tty c1 sh", "exec --env=A=1 -e B=2 --tty c1 sh"},
      {"kill c1 9 -all", "kill c1 9 --all"},
      {"-version", "--version"},
      {"create --b /b c1", "create -b /b c1"},
      {"list --f=json", "list --format=json"},
      {"create --pid-file= c1", "create --pid-file  c1"},
      {"list --quiet=false --format=json", "list --quiet=false --format=json"},
      {"update -memory-swap -1 c1", "update --memory-swap -1 c1"}};
  for (const auto& [given, wanted] : cases) {
    CAPTURE(given);
    CHECK(spelled(given) == wanted);
  }
}

TEST_CASE("spell_out: what is no option of husk's stays as it is", "[cli]") {
  for (const char* words : {"exec c1 sh -tty -e=1", "exec -e -tty c1 sh", "exec -- c1 -tty", "-",
                            "run --bundle -keep c1", "ps c1 -format", "exec -dt c1 sh", "-=x list",
                            "create -nonsense c1", "--log -root list", "--root", "--d list"}) {
    CAPTURE(words);
    CHECK(spelled(words) == words);
  }
}

TEST_CASE("spell_out: what follows a word that is no command is left out", "[cli]") {
  CHECK(spelled("nonsense -root") == "nonsense");
  CHECK(spelled("--root /r nonsense list --help") == "--root /r nonsense");
}

TEST_CASE("spell_out: nothing, for a number or a flag, is what CLI11 refuses", "[cli]") {
  for (const char* words : {"list --quiet=", "exec -tty= c1 sh", "exec -t= c1 sh", "-debug= list",
                            "create --preserve-fds= c1", "update --pids-limit= c1"}) {
    CAPTURE(words);
    GlobalOptions options;
    int status = 0;
    const auto app = make_app(options, status);
    Words given = spell_out(*app, split(words));
    std::reverse(given.begin(), given.end());
    CHECK_THROWS_AS(app->parse(given), CLI::ConversionError);
  }
}

TEST_CASE("spell_out: help is --help", "[cli]") {
  CHECK(spelled("help") == "--help");
  CHECK(spelled("h") == "--help");
  CHECK(spelled("--root /r help state") == "--root /r state --help");
  CHECK(spelled("exec c1 help") == "exec c1 help");
}
