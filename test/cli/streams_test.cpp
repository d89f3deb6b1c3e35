// SPDX-License-Identifier: Apache-2.0
// What a caller hands on to husk without a word: standard streams, the umask, the current directory; and the trace.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "cli/trace_file.hpp"
#include "lib/base/files.hpp"
#include "lib/base/trace.hpp"
#include "test/cli/command_line.hpp"

using namespace husk;
using Catch::Matchers::ContainsSubstring;
using husk::test::CommandLine;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// husk as a shell calls it: "$h" is the program with a root of its own, $d the test's directory.
struct FromShell : CommandLine {
  SubprocessResult sh(const std::string& script) const {
    const std::string setting = "d=" + path().string() + "; h='" HUSK_PROGRAM " --root " +
                                root.string() + " --log " + log.string() + "'; ";
    return run_subprocess({.program = "/bin/sh",
                           .arguments = {"-c", setting + script},
                           .argv0 = {},
                           .environment = {},
                           .stdin_text = {},
                           .timeout = std::chrono::seconds{60}});
  }
  std::string text_of(const char* name) const { return read_file(path() / name, 1 << 20); }
  mode_t mode_of(const char* name) const {
    struct stat status {};
    REQUIRE(::stat((path() / name).c_str(), &status) == 0);
    return status.st_mode & 07777;
  }
};

}  // namespace

TEST_CASE("streams: a stream that the caller closed is no file of husk's", "[cli]") {
  const FromShell husk;
  // The log would get stderr's number, and each error twice.
  CHECK(husk.sh("$h state c1 2>&-").status == 1);
  CHECK_THAT(husk.text_of("log"), ContainsSubstring("container does not exist"));
  const std::string log = husk.text_of("log");
  CHECK(std::count(log.begin(), log.end(), '\n') == 1);
  CHECK(husk.sh("$h spec --bundle $d <&- >&- 2>&-").status == 0);
  CHECK(json::accept(husk.text_of("config.json")));
  CHECK(husk.sh("$h list >&-").status == 0);
  CHECK(husk.sh("$h list --format json <&-").output == "null\n");
}

TEST_CASE("streams: output that cannot be written is a failure, and in the log", "[cli]") {
  const FromShell husk;
  husk.add_record("c1");
  constexpr const char* text = "write to stdout: write: no space left on device";
  for (const char* command : {"features", "list", "list -q", "list -f json", "state c1"}) {
    CAPTURE(command);
    const auto result = husk.sh(std::string("$h ") + command + " >/dev/full");
    CHECK(result.status == 1);
    CHECK(result.output == std::string(text) + "\n");
    CHECK_THAT(husk.text_of("log"), ContainsSubstring(text));
    fs::remove(husk.log);
  }
}

TEST_CASE("streams: a caller that stopped reading is an error, not husk's end by a signal",
          "[cli]") {
  const FromShell husk;
  // The reader is gone before husk starts.
  const auto result =
      husk.sh("mkfifo $d/p; exec 3<>$d/p 4>$d/p 3>&-; $h features >&4; echo \"status $?\"");
  CHECK_THAT(result.output, ContainsSubstring("broken pipe"));
  CHECK_THAT(result.output, ContainsSubstring("status 1\n"));
}

TEST_CASE("umask: the caller's makes no file of husk's unreadable, or writable by others",
          "[cli]") {
  for (const char* mask : {"077", "000", "777"}) {
    CAPTURE(mask);
    const FromShell husk;
    CHECK(husk.sh("umask " + std::string(mask) + "; $h spec --bundle $d").status == 0);
    CHECK(husk.sh("umask " + std::string(mask) + "; $h --log $d/log state c1").status == 1);
    CHECK(husk.mode_of("config.json") == 0644);
    CHECK(husk.mode_of("log") == 0644);
  }
}

TEST_CASE("current directory: is the bundle, and where relative paths begin", "[cli]") {
  const FromShell husk;
  CHECK(husk.sh("cd $d; $h spec; $h --log other state c1").status == 1);
  CHECK(fs::exists(husk.path() / "config.json"));
  CHECK_THAT(husk.text_of("other"), ContainsSubstring("container does not exist"));
  CHECK_THAT(husk.sh("cd $d; $h create c1").output,
             ContainsSubstring("rootfs " + (husk.path() / "rootfs").string()));
  CHECK_THAT(husk.sh("mkdir $d/gone; cd $d/gone; rmdir $d/gone; $h create c1").output,
             ContainsSubstring("husk create failed: "));
}

TEST_CASE("spec: --rootless maps the caller, in runc's order of keys", "[cli]") {
  const FromShell husk;
  REQUIRE(husk.sh("$h spec --rootless --bundle $d").status == 0);
  const auto linux_section = nlohmann::ordered_json::parse(husk.text_of("config.json")).at("linux");
  CHECK(linux_section.at("uidMappings").dump() ==
        R"([{"containerID":0,"hostID":)" + std::to_string(::geteuid()) + R"(,"size":1}])");
  CHECK(linux_section.begin().key() == "uidMappings");
  CHECK_FALSE(linux_section.contains("resources"));
}

TEST_CASE("trace: what a failing command did is written as well", "[cli]") {
  const FromShell husk;
  for (const char* command : {"create --bundle /none", "run --bundle /none", "start", "delete"}) {
    CAPTURE(command);
    CHECK(husk.sh("echo leavings >$d/t; $h " + std::string(command) + " --trace $d/t c1").status ==
          1);
    const json trace = json::parse(husk.text_of("t"));
    CHECK(trace.at("displayTimeUnit") == "ms");
    CHECK(trace.at("traceEvents").at(0).at("args").at("name") == "husk");
    CHECK(trace.at("traceEvents").at(1).at("args").at("name") == "guest");
  }
  const auto refused = husk.sh("$h start --trace $d/none/t c1");
  CHECK(refused.status == 1);
  CHECK_THAT(refused.output, ContainsSubstring("--trace: open " + husk.path().string() +
                                               "/none/t: no such file or directory"));
}

TEST_CASE("trace: spans are events of their row, in microseconds, their names made UTF-8",
          "[cli]") {
  const FromShell husk;
  const TraceClock::time_point begin{std::chrono::milliseconds{5}};
  {
    const cli::TraceFile file(husk.path() / "t");
    add_to_trace({"here", begin, begin + std::chrono::microseconds{1500}, false});
    add_to_trace({"\xff\n", begin, begin, true});
  }
  const json events = json::parse(husk.text_of("t")).at("traceEvents");
  REQUIRE(events.size() == 4);
  CHECK(events[2] == json::parse(R"({"ph":"X","name":"here","ts":5000.0,"dur":1500.0,
                                     "pid":1,"tid":1})"));
  CHECK(events[3].at("name") == "\xef\xbf\xbd\n");
  CHECK(events[3].at("pid") == 2);
  CHECK(events[3].at("dur") == 0.0);
}
