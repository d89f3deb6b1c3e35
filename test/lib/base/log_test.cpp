// SPDX-License-Identifier: Apache-2.0
#include "lib/base/log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "lib/base/error.hpp"

TEST_CASE("log: a sink that fails does not disturb who logs", "[base]") {
  std::string seen;
  husk::set_log_sink([&](husk::LogLevel, std::string_view message) {
    seen = message;
    throw husk::Error(husk::Errc::system, "no space left on device");
  });
  CHECK_NOTHROW(husk::log(husk::LogLevel::warning, "odd"));
  husk::set_log_sink({});
  CHECK(seen == "odd");
}
