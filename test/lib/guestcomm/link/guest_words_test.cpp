// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/guest_words.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"

using namespace husk;
using namespace husk::guestcomm;

namespace {

constexpr const char* unconfirmed =
    "the guest reported a state that the host cannot confirm (see the debug log)";

/// Collects the log while it lives.
class Log {
 public:
  Log() {
    set_log_sink([this](LogLevel level, std::string_view text) {
      if (level == LogLevel::debug) lines.emplace_back(text);
    });
  }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log() { set_log_sink({}); }
  std::vector<std::string> lines;
};

}  // namespace

TEST_CASE("without_state: no text of a guest tells callers a container's state", "[guestcomm]") {
  for (const char* text :
       {"no such process", "container c1 is NOT RUNNING", "os: process already finished",
        "open /x: file does not exist", "Container Paused", "x\nstill running\ny",
        "id already exists", "invalid process", "not stopped", "not paused"}) {
    CAPTURE(text);
    const Log log;
    CHECK(without_state(text) == unconfirmed);
    CHECK(log.lines == std::vector<std::string>{std::string("the guest's error text: ") + text});
  }
}

TEST_CASE("without_state: any other text stays", "[guestcomm]") {
  for (const char* text : {"", "exec: \"sh\": executable file not found in $PATH",
                           "permission denied", "running", "no such file or directory"}) {
    CAPTURE(text);
    const Log log;
    CHECK(without_state(text) == text);
    CHECK(log.lines.empty());
  }
}

TEST_CASE("refusal: requests about the bundle keep the agent's text", "[guestcomm]") {
  for (const char* method : {"hello", "configure_network", "create_container", "create_process",
                             "start_process", "update_container"}) {
    CAPTURE(method);
    const Error told = refusal(method, Error(Errc::system, "exec \"x\": permission denied", 13));
    CHECK(std::string(told.what()) == "exec \"x\": permission denied");
    CHECK(told.code() == Errc::system);
    CHECK(told.sys_errno() == 13);
    const Error state = refusal(method, Error(Errc::not_found, "container does not exist"));
    CHECK(std::string(state.what()) == unconfirmed);
    CHECK(state.code() == Errc::not_found);
  }
}

TEST_CASE("refusal: of any other request the agent's text is in the log alone", "[guestcomm]") {
  const std::string text = "a guest's own words";
  // Not a method that begins like one of the others, either.
  for (const std::string method : {"signal_process", "remove_container", "hello2", "", "create"}) {
    CAPTURE(method);
    const Log log;
    const Error told = refusal(method, Error(Errc::wrong_state, text, 3));
    CHECK(std::string(told.what()) ==
          "the agent answered " + method + " with a wrong state (its text is in the debug log)");
    CHECK(told.code() == Errc::wrong_state);
    CHECK(told.sys_errno() == 3);
    REQUIRE(log.lines.size() == 1);
    CHECK(log.lines[0].find(text) != std::string::npos);
  }
}

TEST_CASE("refusal: every code has words of husk's, none of them a state", "[guestcomm]") {
  std::vector<std::string> seen;
  for (int code = 0; code <= static_cast<int>(Errc::peer_lost) + 1; ++code) {
    const std::string told = refusal("kill", Error(static_cast<Errc>(code), "x")).what();
    CHECK(without_state(told) == told);
    seen.push_back(told);
  }
  std::sort(seen.begin(), seen.end());
  // The codes below and above all of them share one text.
  CHECK(std::unique(seen.begin(), seen.end()) - seen.begin() ==
        static_cast<long>(Errc::peer_lost) + 1);
}
