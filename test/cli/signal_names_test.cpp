// SPDX-License-Identifier: Apache-2.0
#include "cli/signal_names.hpp"

#include <catch2/catch_test_macros.hpp>
#include <csignal>

#include "lib/base/error.hpp"

using husk::cli::parse_signal;

TEST_CASE("parse_signal: numbers and names in every spelling", "[cli]") {
  const std::pair<const char*, int> cases[] = {{"0", 0},
                                               {"9", SIGKILL},
                                               {"KILL", SIGKILL},
                                               {"SIGKILL", SIGKILL},
                                               {"sigkill", SIGKILL},
                                               {"Term", SIGTERM},
                                               {"HUP", SIGHUP},
                                               {"SIGWINCH", SIGWINCH},
                                               {"64", 64},
                                               {"RTMIN", SIGRTMIN},
                                               {"SIGRTMIN+3", SIGRTMIN + 3},
                                               {"rtmax-1", SIGRTMAX - 1},
                                               {"CLD", SIGCHLD},
                                               {"IO", SIGIO},
                                               {"SIGPOLL", SIGIO},
                                               {"IOT", SIGABRT}};
  for (const auto& [text, number] : cases) {
    CAPTURE(text);
    CHECK(parse_signal(text) == number);
  }
}

TEST_CASE("parse_signal: what is none is refused", "[cli]") {
  for (const char* text : {"", "65", "-1", "9x", "SIG", "NOPE", "RTMIN-1", "RTMAX+1", "RTMIN+99",
                           "SIGSIGKILL", "RTMIN+-1", "RTMIN+2147483647", "RTMAX--2147483648"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_signal(text), husk::Error);
  }
}
