// SPDX-License-Identifier: Apache-2.0
// The lines of the log and of stderr, byte by byte; what callers find in them: log_test.cpp.
#include "cli/report.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::cli;
using Catch::Matchers::Matches;
using nlohmann::json;

namespace {

/// What `f` writes to one of the standard streams, which is a file meanwhile.
std::string written_to(int stream, const std::filesystem::path& file,
                       const std::function<void()>& f) {
  const UniqueFd before{::fcntl(stream, F_DUPFD_CLOEXEC, 10)};
  const UniqueFd into{::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
  ::dup2(into.get(), stream);
  f();
  ::dup2(before.get(), stream);
  return read_file(file, 1 << 20);
}

/// A log, and what an error writes to stderr.
struct Reported : test::Scratch {
  GlobalOptions options;
  Reported() {
    options.log = path() / "log";
    options.log_format = "json";
  }
  std::string error(const std::string& message, std::string_view id = {}) const {
    return written_to(STDERR_FILENO, path() / "stderr",
                      [&] { report_error(options, message, id); });
  }
  std::string log() const { return read_file(options.log, 1 << 20); }
  void put(const std::string& text) const { std::ofstream(options.log) << text; }
};

constexpr const char* time_text = R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z)";

}  // namespace

TEST_CASE("log entry: JSON and text have the words of logrus, in its order", "[cli]") {
  Reported r;
  append_log_entry(r.options, {"warning", "a \"b\"\\\n", "c1"});
  append_log_entry(r.options, {"debug", "d", ""});
  const std::string time = time_text;
  CHECK_THAT(r.log(),
             Matches(R"(\{"level":"warning","msg":"a \\"b\\"\\\\\\n","time":")" + time +
                     R"(","id":"c1"\}\n\{"level":"debug","msg":"d","time":")" + time + "\"\\}\n"));
  r.put("");
  r.options.log_format = "text";
  append_log_entry(r.options, {"error", "a \"b\"\n", "c1"});
  CHECK_THAT(r.log(), Matches("time=\"" + time + "\" level=error msg=\"a \\\\\"b\\\\\"\\\\n\"\n"));
}

TEST_CASE("log entry: bytes that are no UTF-8 are replaced, and the line stays JSON", "[cli]") {
  const Reported r;
  append_log_entry(r.options, {"error", "\xff\xc3 \xed\xa0\x80 gr\xc3\xbc\xc3\x9f", "c\xfe"});
  const json entry = json::parse(r.log());
  CHECK(entry.at("msg").get<std::string>().ends_with(" gr\xc3\xbc\xc3\x9f"));
  CHECK(entry.at("id") == "c\xef\xbf\xbd");
}

TEST_CASE("log entry: without a log nothing is written; one that cannot be is named", "[cli]") {
  Reported r;
  r.options.log.clear();
  CHECK_NOTHROW(append_log_entry(r.options, {"error", "x", ""}));
  r.options.log = r.path();
  CHECK_THROWS_WITH(append_log_entry(r.options, {"error", "x", ""}),
                    "open log " + r.path().string() + ": is a directory");
}

TEST_CASE("report: one line on stderr, whatever is in the message", "[cli]") {
  const Reported r;
  CHECK(r.error("bundle /a\nb\x1b[31m: \xc2\x9b gone") == "bundle /a b [31m:   gone\n");
  CHECK(json::parse(r.log()).at("msg") == "bundle /a b [31m:   gone");
  CHECK(json::parse(r.log()).size() == 3);
}

TEST_CASE("report: a log that fails is told, and the error all the same", "[cli]") {
  Reported r;
  r.options.log = r.path() / "none" / "log";
  CHECK(r.error("the error") ==
        "open log " + r.options.log.string() + ": no such file or directory\nthe error\n");
  r.options.log = "/dev/full";
  CHECK(r.error("the error", "c1") == "write: no space left on device\nthe error\n");
}

TEST_CASE("report: only the last entries of the same create give way", "[cli]") {
  Reported r;
  const auto entry = [](const std::string& id, const std::string& more = "") {
    return R"({"level":"warning","msg":"m","time":"t","id":")" + id + "\"" + more + "}\n";
  };
  struct Case {
    std::string before, left;
  };
  const Case cases[] = {{entry("c1") + entry("c1"), ""},
                        {entry("c1") + entry("c2") + entry("c1"), entry("c1") + entry("c2")},
                        {"foreign\n" + entry("c1"), "foreign\n"},
                        {"\n" + entry("c1"), "\n"},
                        {entry("c1", ",\"more\":1"), entry("c1", ",\"more\":1")},
                        {entry("c1") + "no end", entry("c1") + "no end"},
                        {R"({"id":"c1"})"
                         "\n",
                         R"({"id":"c1"})"
                         "\n"},
                        {R"({"level":"l","msg":"m","time":"t","id":7})"
                         "\n",
                         R"({"level":"l","msg":"m","time":"t","id":7})"
                         "\n"},
                        {"{\"id\":\n", "{\"id\":\n"}};
  for (const auto& [before, left] : cases) {
    CAPTURE(before);
    r.put(before);
    r.error("new", "c1");
    const std::string log = r.log();
    REQUIRE(log.starts_with(left));
    CHECK_THAT(log.substr(left.size()), Matches("\\{.*\"msg\":\"new\".*\\}\n"));
  }
}

TEST_CASE("report: entries stay with text, with --debug, without an id", "[cli]") {
  Reported r;
  const std::string old = R"({"level":"warning","msg":"m","time":"t","id":"c1"})"
                          "\n";
  r.put(old);
  SECTION("text") {
    r.options.log_format = "text";
    r.error("new", "c1");
  }
  SECTION("debug") {
    r.options.debug = true;
    r.error("new", "c1");
  }
  SECTION("no create") { r.error("new"); }
  CHECK(r.log().starts_with(old));
}

TEST_CASE("report: of a long log the end alone is looked at, and never cut in a line", "[cli]") {
  const Reported r;
  const std::string old = R"({"level":"warning","msg":"m","time":"t","id":"c1"})"
                          "\n";
  std::string text;
  while (text.size() < 100'000) text += old;
  r.put(text);
  r.error("new", "c1");
  std::istringstream lines(r.log());
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) CHECK(json::accept(line));
  CHECK(count > 100'000 / old.size() / 4);  // the begin is as it was
  CHECK(count < 100'000 / old.size());
}

TEST_CASE("report: a log that is a link or a pipe is not shortened", "[cli]") {
  Reported r;
  const std::string old = R"({"level":"warning","msg":"m","time":"t","id":"c1"})"
                          "\n";
  std::ofstream(r.path() / "file") << old;
  std::filesystem::create_symlink("file", r.options.log);
  r.error("new", "c1");
  CHECK(r.log().starts_with(old));
  r.options.log = r.path() / "pipe";
  REQUIRE(::mkfifo(r.options.log.c_str(), 0600) == 0);
  const UniqueFd reader{::open(r.options.log.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  r.error("new", "c1");
  CHECK_THAT(read_all(reader.get(), 1000, "pipe"), Matches("\\{.*\"msg\":\"new\".*\\}\n"));
}

TEST_CASE("print: a stdout that is full is an error that says so", "[cli]") {
  const test::Scratch scratch;
  CHECK(written_to(STDOUT_FILENO, scratch.path() / "out", [] { print("text"); }) == "text");
  const UniqueFd before{::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10)};
  const UniqueFd full{::open("/dev/full", O_WRONLY | O_CLOEXEC)};
  ::dup2(full.get(), STDOUT_FILENO);
  std::string text;
  try {
    print("text");
  } catch (const Error& e) {
    text = e.what();
  }
  ::dup2(before.get(), STDOUT_FILENO);
  CHECK(text == "write to stdout: write: no space left on device");
}
