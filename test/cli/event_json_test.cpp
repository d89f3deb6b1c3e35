// SPDX-License-Identifier: Apache-2.0
#include "cli/event_json.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

using namespace husk;

TEST_CASE("events: the keys are in the order of runc's", "[cli]") {
  guestcomm::ContainerStatistics all;
  all.cpu = {{"usage_usec", 3}, {"system_usec", 1},  {"user_usec", 2},
             {"nr_periods", 7}, {"nr_throttled", 8}, {"throttled_usec", 9}};
  all.memory = {{"file", 4}, {"anon", 5}, {"kernel", 6}, {"sock", 10}};
  all.memory_events = {{"max", 11}};
  all.memory_used = 100;
  all.memory_limit = 1000;
  all.memory_peak = 200;
  all.swap_used = 20;
  all.swap_limit = 50;
  all.processes = 12;
  all.process_limit = 13;
  all.interfaces = {{.name = "eth0", .counters = {{"rx_bytes", 1}, {"tx_dropped", 8}}}};
  const runtime::HostCost vm{
      .memory_bytes = 14, .cpu_time = std::chrono::nanoseconds{15}, .containers = 16};
  CHECK(
      cli::statistics_line("c1", {.container = all, .vm = vm}) ==
      R"({"type":"stats","id":"c1","data":{)"
      R"("cpu":{"usage":{"total":3000,"kernel":1000,"user":2000},)"
      R"("throttling":{"periods":7,"throttledPeriods":8,"throttledTime":9000}},)"
      R"("cpuset":{},)"
      R"("memory":{"cache":4,"usage":{"limit":1000,"usage":100,"max":200,"failcnt":11},)"
      R"("swap":{"limit":1050,"usage":120,"failcnt":0},)"
      R"("kernel":{"limit":18446744073709551615,"usage":6,"failcnt":0},)"
      R"("kernelTCP":{"limit":18446744073709551615,"usage":10,"failcnt":0},)"
      R"("raw":{"anon":5,"file":4,"kernel":6,"sock":10}},)"
      R"("pids":{"current":12,"limit":13},"blkio":{},"hugetlb":{},"intel_rdt":{},)"
      R"("network_interfaces":[{"Name":"eth0","RxBytes":1,"RxPackets":0,"RxErrors":0,"RxDropped":0,)"
      R"("TxBytes":0,"TxPackets":0,"TxErrors":0,"TxDropped":8}],"vm":{"memory":14,"cpu":15,"containers":16}}})"
      "\n");
  CHECK(cli::oom_line("c1") == "{\"type\":\"oom\",\"id\":\"c1\"}\n");
}

TEST_CASE("events: what the guest does not tell is none or no limit, as runc prints it", "[cli]") {
  const auto data = [](const guestcomm::ContainerStatistics& all) {
    return nlohmann::json::parse(cli::statistics_line("c1", {.container = all})).at("data");
  };
  guestcomm::ContainerStatistics all;
  constexpr std::uint64_t none = UINT64_MAX;
  CHECK(data(all).at("memory").at("usage").at("limit") == none);
  CHECK(data(all).at("memory").at("usage").at("usage") == 0);
  CHECK(data(all).at("memory").at("swap").at("limit") == none);
  CHECK(data(all).at("memory").at("raw") == nlohmann::json::object());
  CHECK(data(all).at("pids").dump() == R"({"current":0})");
  CHECK(data(all).at("cpu").at("usage").at("total") == 0);
  CHECK(data(all).at("network_interfaces") == nlohmann::json::array());
  all.swap_limit = 50;  // memory without a limit: there is none for both
  CHECK(data(all).at("memory").at("swap").at("limit") == none);
  all.swap_limit.reset(), all.memory_limit = 50;
  CHECK(data(all).at("memory").at("swap").at("limit") == none);
  all.memory_used = 7;
  CHECK(data(all).at("memory").at("swap").at("usage") == 7);
}

TEST_CASE("events: names of a guest's are strings of JSON, one line whatever they hold", "[cli]") {
  guestcomm::ContainerStatistics all;
  all.memory = {{"a\"b\n\x1b", 1}};
  all.interfaces = {{.name = "e\"}\n\\", .counters = {}}, {.name = "", .counters = {}}};
  const std::string line = cli::statistics_line("c1", {.container = all});
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  const auto data = nlohmann::json::parse(line).at("data");
  CHECK(data.at("network_interfaces").at(0).at("Name") == "e\"}\n\\");
  CHECK(data.at("network_interfaces").at(1).at("RxBytes") == 0);
  CHECK(data.at("memory").at("raw").at("a\"b\n\x1b") == 1);
}
