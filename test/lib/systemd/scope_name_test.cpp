// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/scope_name.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::systemd;

TEST_CASE("check_scope_name: scopes and slices, and nothing else", "[systemd]") {
  for (const char* fine : {"docker-1.scope", "a.slice", "a.service.scope"})
    CHECK_NOTHROW(check_scope_name(fine));
  for (const char* wrong : {"", "a", "sshd.service", "a.scope.service", "a.scope ", "a.SCOPE"}) {
    CAPTURE(wrong);
    CHECK_THROWS_WITH(check_scope_name(wrong),
                      "unit \"" + std::string(wrong) + "\": is neither a scope nor a slice");
  }
}
