// SPDX-License-Identifier: Apache-2.0
#include "lib/base/unix_address.hpp"

#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace husk;

TEST_CASE("unix_address: a path of 107 bytes, and none that is longer", "[base]") {
  const std::string longest(107, 'x');
  CHECK(unix_address(longest).sun_path == longest);
  CHECK(unix_address(longest).sun_family == AF_UNIX);
  CHECK_THROWS_WITH(unix_address(longest + "x"),
                    longest + "x: the path is too long for a socket (at most 107 bytes)");
}
