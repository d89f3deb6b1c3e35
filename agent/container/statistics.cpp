// SPDX-License-Identifier: Apache-2.0
#include "agent/container/statistics.hpp"

#include <sstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

namespace fs = std::filesystem;
using guestcomm::ContainerStatistics;
using guestcomm::Counters;

constexpr std::size_t max_statistics_file_bytes = 1u << 20;

std::string read_or_nothing(const fs::path& file) {
  try {
    return read_file(file, max_statistics_file_bytes);
  } catch (const Error&) {
    return {};
  }
}

/// Empty for "max".
std::optional<std::uint64_t> read_number(const fs::path& file) {
  std::istringstream text(read_or_nothing(file));
  std::uint64_t number = 0;
  return text >> number ? std::optional(number) : std::nullopt;
}

}  // namespace

Counters parse_counters(const std::string& text) {
  Counters counters;
  std::istringstream words(text);
  std::string name;
  for (std::uint64_t value = 0;
       counters.size() < ContainerStatistics::max_counters && words >> name >> value;)
    counters[name] = value;
  return counters;
}

/// proc_net_dev(5): two lines of headings, then "NAME:" with 8 numbers of what came and 8 of what went.
std::vector<guestcomm::InterfaceStatistics> parse_interfaces(const std::string& text) {
  static constexpr const char* names[] = {"rx_bytes", "rx_packets", "rx_errors", "rx_dropped",
                                          "",         "",           "",          "",
                                          "tx_bytes", "tx_packets", "tx_errors", "tx_dropped"};
  std::vector<guestcomm::InterfaceStatistics> interfaces;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.rfind(':'), begin = line.find_first_not_of(' ');
    if (colon == std::string::npos || line.substr(begin, colon - begin) == "lo") continue;
    if (interfaces.size() == ContainerStatistics::max_interfaces) break;
    guestcomm::InterfaceStatistics one{line.substr(begin, colon - begin), {}};
    std::istringstream numbers(line.substr(colon + 1));
    for (const std::string name : names) {
      std::uint64_t value = 0;
      numbers >> value;
      if (!name.empty()) one.counters[name] = value;
    }
    interfaces.push_back(std::move(one));
  }
  return interfaces;
}

ContainerStatistics measure(const fs::path& cgroup) {
  ContainerStatistics all;
  all.cpu = parse_counters(read_or_nothing(cgroup / "cpu.stat"));
  all.memory = parse_counters(read_or_nothing(cgroup / "memory.stat"));
  all.memory_events = parse_counters(read_or_nothing(cgroup / "memory.events"));
  all.memory_used = read_number(cgroup / "memory.current");
  all.memory_limit = read_number(cgroup / "memory.max");
  all.memory_peak = read_number(cgroup / "memory.peak");
  all.swap_used = read_number(cgroup / "memory.swap.current");
  all.swap_limit = read_number(cgroup / "memory.swap.max");
  all.processes = read_number(cgroup / "pids.current");
  all.process_limit = read_number(cgroup / "pids.max");
  all.interfaces = parse_interfaces(read_or_nothing("/proc/net/dev"));
  return all;
}

}  // namespace husk::agent
