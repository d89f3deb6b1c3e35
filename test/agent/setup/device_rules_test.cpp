// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/device_rules.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::agent;
using Catch::Matchers::ContainsSubstring;

namespace {

oci::Spec with_rules(const std::string& json) {
  oci::Spec spec;
  spec.linux_.resources =
      nlohmann::json::parse(R"({"devices":)" + json + "}").get<oci::Resources>();
  return spec;
}

}  // namespace

TEST_CASE("plan_device_rules: the container's come first, runc's default devices after them",
          "[agent]") {
  const auto rules = plan_device_rules(with_rules(
      R"([{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":10,"minor":200,"access":"rw"},
          {"allow":false,"type":"b","major":8,"minor":-1,"access":"w"},{"allow":true,"type":"a"}])"));
  REQUIRE(rules.size() > 4);
  CHECK_FALSE(rules[0].allow);
  CHECK_FALSE(rules[0].type);
  CHECK(rules[0].access == any_device_access);
  CHECK(rules[1].allow);
  CHECK(rules[1].type == static_cast<unsigned>(BPF_DEVCG_DEV_CHAR));
  CHECK(rules[1].major == 10U);
  CHECK(rules[1].minor == 200U);
  CHECK(rules[1].access == (device_reading | device_writing));
  CHECK(rules[2].type == static_cast<unsigned>(BPF_DEVCG_DEV_BLOCK));
  CHECK(rules[2].access == device_writing);
  CHECK_FALSE(rules[2].minor);
  CHECK_FALSE(rules[3].type);
  CHECK(rules[3].access == any_device_access);
  const auto defaults = plan_device_rules({});
  CHECK(rules.size() == 4 + defaults.size());
  CHECK(defaults.front().access == device_making);
  for (const DeviceFilterRule& rule : defaults) CHECK(rule.allow);
}

TEST_CASE("plan_device_rules: a number that no device has is named", "[agent]") {
  CHECK_THROWS_WITH(plan_device_rules(with_rules(R"([{"allow":true,"type":"c","major":4096}])")),
                    "linux.resources.devices[0].major: no device has the number 4096");
  CHECK_THROWS_WITH(plan_device_rules(with_rules(R"([{"allow":true},{"allow":true,"minor":-2}])")),
                    ContainsSubstring("linux.resources.devices[1].minor"));
}
