// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/protocol_range.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"

using namespace husk;
using namespace husk::guestcomm;

TEST_CASE("protocols: both sides speak the newest one that they share", "[guestcomm]") {
  CHECK(agree({3, 3}, {3, 3}) == 3);
  CHECK(agree({3, 4}, {3, 7}) == 4);  // a VM from before the upgrade
  CHECK(agree({3, 7}, {2, 4}) == 4);  // or a husk from before it
  CHECK(agree({1, 5}, {5, 9}) == 5);
}

TEST_CASE("protocols: the agent answers with the lower of the two newest", "[guestcomm]") {
  CHECK(agreed_range({3, 4}, {3, 7}) == ProtocolRange{3, 4});
  CHECK(agreed_range({3, 7}, {2, 4}) == ProtocolRange{3, 4});
  CHECK(agreed_range({3, 3}, {3, 3}) == ProtocolRange{3, 3});
  CHECK_THROWS_AS(agreed_range({1, 2}, {3, 5}), Error);
}

TEST_CASE("protocols: two sides that share none are told what each speaks", "[guestcomm]") {
  try {
    agree({1, 2}, {3, 5});
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::unsupported);
    CHECK(std::string(error.what()) == "the guest agent speaks protocol 1 to 2, the host 3 to 5");
  }
  CHECK_THROWS_AS(agree({6, 6}, {3, 5}), Error);
}

TEST_CASE("protocols: hello says the range, and who says one number speaks that only",
          "[guestcomm]") {
  CHECK(nlohmann::json(Hello{{2, 4}, "1", {}}).get<Hello>().protocols == ProtocolRange{2, 4});
  nlohmann::json said{{"protocol", 3}, {"version", "1"}};
  CHECK(said.get<Hello>().protocols == ProtocolRange{3, 3});
  for (const int oldest : {4, 0, -1}) {
    said["oldest_protocol"] = oldest;
    CHECK_THROWS_AS(said.get<Hello>(), Error);
  }
}
