// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/kernel_settings.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::guestcomm;

TEST_CASE("kernel settings: what one side writes the other reads", "[guestcomm]") {
  const KernelSettings settings{
      .at_least = {{"vm/max_map_count", "262144"}, {"kernel/pid_max", "4194304"}},
      .exact = {{"net/ipv4/tcp_rmem", "4096\t87380\t\"6\""}}};
  const KernelSettings read = parse_kernel_settings(to_text(settings));
  CHECK(read.at_least == settings.at_least);
  CHECK(read.exact == settings.exact);
}

TEST_CASE("kernel settings: what is none is refused", "[guestcomm]") {
  const char* text =
      GENERATE("", "[]", "{", "{}", R"({"at_least":{}})", R"({"at_least":{},"exact":[]})",
               R"({"at_least":{"a":1},"exact":{}})");
  CHECK_THROWS_AS(parse_kernel_settings(text), Error);
}
