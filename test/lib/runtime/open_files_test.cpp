// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/open_files.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdint>

using namespace husk;
using namespace husk::runtime;

TEST_CASE("open_files_limit: an eighth of the host's file table, within bounds", "[runtime]") {
  CHECK(open_files_limit(0) == 65536);
  CHECK(open_files_limit(100'000) == 65536);
  CHECK(open_files_limit(2'400'000) == 300'000);
  CHECK(open_files_limit(INT64_MAX) == 1'000'000);  // systemd's
}
