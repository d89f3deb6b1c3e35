// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/source_port.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <set>

#include "lib/base/error.hpp"

using namespace husk::guestcomm;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("take_privileged_port: the upper half from any start, then the lower", "[guestcomm]") {
  std::set<std::uint32_t> tried;
  const std::uint32_t taken = take_privileged_port(65535, [&](std::uint32_t port) {
    CHECK(tried.insert(port).second);
    return port == 511;
  });
  CHECK(taken == 511);
  CHECK(tried.size() == 513);
  CHECK(*tried.begin() == 511);
  CHECK(*tried.rbegin() == 1023);
  CHECK(take_privileged_port(3, [](std::uint32_t) { return true; }) == 515);
}

TEST_CASE("take_privileged_port: says so when none is free", "[guestcomm]") {
  std::set<std::uint32_t> tried;
  CHECK_THROWS_WITH(take_privileged_port(7,
                                         [&](std::uint32_t port) {
                                           tried.insert(port);
                                           return false;
                                         }),
                    ContainsSubstring("no vsock port below 1024 is free"));
  CHECK(tried.size() == 1023);
}
