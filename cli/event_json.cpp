// SPDX-License-Identifier: Apache-2.0
#include "cli/event_json.hpp"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

namespace husk::cli {
namespace {

using guestcomm::ContainerStatistics;
using guestcomm::Counters;
using nlohmann::ordered_json;

constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();  // as runc prints it

std::uint64_t count(const Counters& counters, const char* name) {
  const auto found = counters.find(name);
  return found == counters.end() ? 0 : found->second;
}

std::uint64_t nanoseconds(const Counters& cpu, const char* name) { return count(cpu, name) * 1000; }

ordered_json cpu_of(const ContainerStatistics& all) {
  return {{"usage",
           {{"total", nanoseconds(all.cpu, "usage_usec")},
            {"kernel", nanoseconds(all.cpu, "system_usec")},
            {"user", nanoseconds(all.cpu, "user_usec")}}},
          {"throttling",
           {{"periods", count(all.cpu, "nr_periods")},
            {"throttledPeriods", count(all.cpu, "nr_throttled")},
            {"throttledTime", nanoseconds(all.cpu, "throttled_usec")}}}};
}

ordered_json memory_of(const ContainerStatistics& all) {
  // runc's swap has the memory in it, as version 1 of cgroups had.
  const bool has_swap_limit = all.swap_limit && all.memory_limit;
  return {
      {"cache", count(all.memory, "file")},
      {"usage",
       {{"limit", all.memory_limit.value_or(no_limit)},
        {"usage", all.memory_used.value_or(0)},
        {"max", all.memory_peak.value_or(0)},
        {"failcnt", count(all.memory_events, "max")}}},
      {"swap",
       {{"limit", has_swap_limit ? *all.swap_limit + *all.memory_limit : no_limit},
        {"usage", all.swap_used.value_or(0) + all.memory_used.value_or(0)},
        {"failcnt", 0}}},
      {"kernel", {{"limit", no_limit}, {"usage", count(all.memory, "kernel")}, {"failcnt", 0}}},
      {"kernelTCP", {{"limit", no_limit}, {"usage", count(all.memory, "sock")}, {"failcnt", 0}}},
      {"raw", all.memory}};
}

ordered_json interfaces_of(const ContainerStatistics& all) {
  ordered_json list = ordered_json::array();
  for (const guestcomm::InterfaceStatistics& one : all.interfaces) {
    list.push_back({{"Name", one.name},
                    {"RxBytes", count(one.counters, "rx_bytes")},
                    {"RxPackets", count(one.counters, "rx_packets")},
                    {"RxErrors", count(one.counters, "rx_errors")},
                    {"RxDropped", count(one.counters, "rx_dropped")},
                    {"TxBytes", count(one.counters, "tx_bytes")},
                    {"TxPackets", count(one.counters, "tx_packets")},
                    {"TxErrors", count(one.counters, "tx_errors")},
                    {"TxDropped", count(one.counters, "tx_dropped")}});
  }
  return list;
}

ordered_json vm_of(const runtime::HostCost& vm) {
  return {{"memory", vm.memory_bytes}, {"cpu", vm.cpu_time.count()}, {"containers", vm.containers}};
}

ordered_json data_of(const ContainerStatistics& all) {
  ordered_json pids = {{"current", all.processes.value_or(0)}};
  if (all.process_limit) pids["limit"] = *all.process_limit;
  return {{"cpu", cpu_of(all)},
          {"cpuset", ordered_json::object()},
          {"memory", memory_of(all)},
          {"pids", std::move(pids)},
          {"blkio", ordered_json::object()},
          {"hugetlb", ordered_json::object()},
          {"intel_rdt", ordered_json::object()},
          {"network_interfaces", interfaces_of(all)}};
}

}  // namespace

std::string statistics_line(const std::string& id, const runtime::Runtime::Statistics& all) {
  ordered_json data = data_of(all.container);
  data["vm"] = vm_of(all.vm);
  return ordered_json{{"type", "stats"}, {"id", id}, {"data", std::move(data)}}.dump() + "\n";
}

std::string oom_line(const std::string& id) {
  return ordered_json{{"type", "oom"}, {"id", id}}.dump() + "\n";
}

}  // namespace husk::cli
