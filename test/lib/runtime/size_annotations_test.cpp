// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/size_annotations.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::runtime;

TEST_CASE("pod_demand: what kubelet says of a pod's limits", "[runtime]") {
  const Demand announced{.memory_mib = 384, .quota_us = 150000, .period_us = 100000};
  CHECK(pod_demand({}) == Demand{});
  CHECK(pod_demand({{"io.kubernetes.cri.sandbox-memory", "402653184"},
                    {"io.kubernetes.cri.sandbox-cpu-quota", "150000"},
                    {"io.kubernetes.cri.sandbox-cpu-period", "100000"}}) == announced);
  CHECK(pod_demand({{"io.kubernetes.cri.sandbox-memory", "0"},
                    {"io.kubernetes.cri.sandbox-cpu-quota", "-1"}}) == Demand{});
  CHECK(cpu_milli(announced) == 1500);
  const std::string text =
      R"({"cpu_period":100000,"cpu_quota":150000,"cpu_shares":512,"memory_limit_in_bytes":402653184})";
  for (const char* name :
       {"pod-linux-resources.crio.io", "io.kubernetes.cri-o.PodLinuxResources"}) {
    CHECK(pod_demand({{name, text}}) == announced);
    CHECK(pod_demand({{name, "null"}}) == Demand{});
    CHECK(pod_demand({{name, "{}"}}) == Demand{});
  }
}

TEST_CASE("pod_demand: a hint that is none is refused by name", "[runtime]") {
  CHECK_THROWS_WITH(pod_demand({{"io.kubernetes.cri.sandbox-memory", "much"}}),
                    "annotations[\"io.kubernetes.cri.sandbox-memory\"]: \"much\" is not a number");
  const char* crios = "pod-linux-resources.crio.io";
  for (const char* text : {"", "[]", "7", "{\"cpu_quota\":"})
    CHECK_THROWS_WITH(pod_demand({{crios, text}}),
                      "annotations[\"pod-linux-resources.crio.io\"]: is not a JSON object");
  CHECK_THROWS_WITH(
      pod_demand({{crios, R"({"cpu_quota":"1"})"}}),
      "annotations[\"pod-linux-resources.crio.io\"]: cpu_quota is not a whole number");
}

TEST_CASE("check_own_annotations: only what the administrator allows", "[runtime]") {
  const Annotations both{{"io.husk.memory_mib", "2048"}, {"io.husk.files.cache", "never"}};
  CHECK_NOTHROW(check_own_annotations({{"io.huskies", "x"}, {"other", "1"}}, {}));
  CHECK_NOTHROW(check_own_annotations(both, {"io.husk.memory_mib", "io.husk.files.cache"}));
  CHECK_THROWS_WITH(check_own_annotations(both, {"io.husk.memory_mib"}),
                    "annotations[\"io.husk.files.cache\"]: is not allowed by "
                    "vm.allowed_annotations in the configuration");
  CHECK_THROWS_WITH(check_own_annotations({{"io.husk.memory", "1"}}, {"io.husk.memory"}),
                    "annotations[\"io.husk.memory\"]: is unknown");
}

TEST_CASE("asked_size: numbers within bounds", "[runtime]") {
  CHECK(asked_size({{"io.huskies", "x"}, {"other", "1"}}) == VmSize{});
  CHECK(asked_size({{"io.husk.memory_mib", "2048"}, {"io.husk.vcpus", "3"}}) == VmSize{2048, 3});
  for (const char* number : {"", "x", "127", "-1", "99999999", "12.5", "0x800"})
    CHECK_THROWS_AS(asked_size({{"io.husk.memory_mib", number}}), Error);
  for (const char* number : {"0", "65"})
    CHECK_THROWS_AS(asked_size({{"io.husk.vcpus", number}}), Error);
}
