// SPDX-License-Identifier: Apache-2.0
#include "cli/event_json.hpp"

#include <catch2/catch_test_macros.hpp>

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
  CHECK(
      cli::statistics_line("c1", all) ==
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
      R"("TxBytes":0,"TxPackets":0,"TxErrors":0,"TxDropped":8}]}})"
      "\n");
  CHECK(cli::oom_line("c1") == "{\"type\":\"oom\",\"id\":\"c1\"}\n");
}
