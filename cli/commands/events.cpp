// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "lib/base/error.hpp"
#include "lib/base/text.hpp"

namespace husk::cli {
namespace {

using guestcomm::ContainerStatistics;
using guestcomm::Counters;
using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();  // as runc prints it

std::uint64_t count(const Counters& counters, const char* name) {
  const auto found = counters.find(name);
  return found == counters.end() ? 0 : found->second;
}

std::uint64_t nanoseconds(const Counters& cpu, const char* name) { return count(cpu, name) * 1000; }

json cpu_of(const ContainerStatistics& all) {
  return {{"usage",
           {{"total", nanoseconds(all.cpu, "usage_usec")},
            {"kernel", nanoseconds(all.cpu, "system_usec")},
            {"user", nanoseconds(all.cpu, "user_usec")}}},
          {"throttling",
           {{"periods", count(all.cpu, "nr_periods")},
            {"throttledPeriods", count(all.cpu, "nr_throttled")},
            {"throttledTime", nanoseconds(all.cpu, "throttled_usec")}}}};
}

json memory_of(const ContainerStatistics& all) {
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

json interfaces_of(const ContainerStatistics& all) {
  json list = json::array();
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

/// runc's types/events.go. Disks, huge pages and caches are the host's.
json data_of(const ContainerStatistics& all) {
  json pids = {{"current", all.processes.value_or(0)}};
  if (all.process_limit) pids["limit"] = *all.process_limit;
  return {{"cpu", cpu_of(all)},          {"cpuset", json::object()},
          {"memory", memory_of(all)},    {"pids", std::move(pids)},
          {"blkio", json::object()},     {"hugetlb", json::object()},
          {"intel_rdt", json::object()}, {"network_interfaces", interfaces_of(all)}};
}

void print_statistics(const std::string& id, const ContainerStatistics& all) {
  print(json{{"type", "stats"}, {"id", id}, {"data", data_of(all)}}.dump() + "\n");
}

void print_event(const std::string& id, const runtime::Runtime::Event& event) {
  if (const auto* statistics = std::get_if<ContainerStatistics>(&event))
    return print_statistics(id, *statistics);
  print(json{{"type", "oom"}, {"id", id}}.dump() + "\n");
}

/// Go's: "5s", "1m30s", "1.5s", "200ms".
milliseconds parse_duration(const std::string& text) {
  static constexpr std::pair<std::string_view, std::int64_t> units[] = {
      {"ms", 1}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}};
  const auto refuse = [&]() -> milliseconds {
    throw Error(Errc::invalid_argument,
                "--interval: " + quote(text) + " is not a time (5s, 200ms)");
  };
  double total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    double number = -1;
    const auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const auto unit =
        std::ranges::find_if(units, [&](const auto& one) { return rest.starts_with(one.first); });
    constexpr double most = 1e6;  // also keeps out "inf" and "nan"
    if (error != std::errc{} || !(number >= 0 && number <= most) || unit == std::end(units))
      return refuse();
    rest.remove_prefix(unit->first.size());
    total += number * static_cast<double>(unit->second);
  }
  constexpr double day = 24 * 3.6e6;
  if (text.empty() || total > day) return refuse();
  if (total < 1) throw Error(Errc::invalid_argument, "duration interval must be greater than 0");
  return milliseconds{static_cast<std::int64_t>(total)};
}

}  // namespace

void add_events(CLI::App& app, const GlobalOptions& options) {
  struct Flags {
    std::string id, interval = "5s";
    bool once = false;
  };
  CLI::App* command =
      app.add_subcommand("events", "tell what a container uses, and of kills for want of memory");
  auto flags = std::make_shared<Flags>();
  command->add_option("container-id", flags->id, "the container")->required();
  command->add_option("--interval", flags->interval, "between two figures (default: 5s)");
  command->add_flag("--stats", flags->once, "figures once, then end");
  command->callback([flags, &options] {
    const milliseconds interval = parse_duration(flags->interval);
    const runtime::Runtime runtime = make_runtime(options);
    if (flags->once) return print_statistics(flags->id, runtime.statistics(flags->id));
    runtime.follow_events(flags->id, interval, [&](const runtime::Runtime::Event& event) {
      print_event(flags->id, event);
    });
  });
}

}  // namespace husk::cli
