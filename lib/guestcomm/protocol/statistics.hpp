// SPDX-License-Identifier: Apache-2.0
// What a container uses in its guest, and what happens to it there: for husk events.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/guestcomm/protocol/done.hpp"

namespace husk::guestcomm {

/// By name: [A-Za-z0-9_.], at most 64 bytes.
using Counters = std::map<std::string, std::uint64_t>;

struct InterfaceStatistics {
  std::string name;   ///< once it is received: printable ASCII, at most 64 bytes
  Counters counters;  ///< as the kernel names them: rx_bytes, tx_dropped, ...
};

/// Bytes, microseconds, numbers. What its kernel does not count is empty; a limit is so where there is none.
struct ContainerStatistics {
  static constexpr std::size_t max_counters = 256, max_interfaces = 64;
  Counters cpu, memory, memory_events;  ///< of the cgroup: cpu.stat, memory.stat, memory.events
  std::optional<std::uint64_t> memory_used, memory_limit, memory_peak, swap_used, swap_limit,
      processes, process_limit;
  std::vector<InterfaceStatistics> interfaces;  ///< the guest's; loopback is none
};

/// husk events.
struct ReadStatistics {
  static constexpr std::string_view method = "container_statistics";
  using Result = ContainerStatistics;
  std::string id;
};

/// husk events: from then on this connection gets its ContainerEvents.
struct WatchContainer {
  static constexpr std::string_view method = "watch_container";
  using Result = Done;
  std::string id;
};

/// Notified to who watches a container; "stopped" is the last.
struct ContainerEvent {
  static constexpr std::string_view method = "container_event";
  enum class Type { oom, stopped };  ///< oom: its kernel has killed a process for want of memory
  std::string id;
  Type type = Type::oom;
};

void to_json(nlohmann::json& json, const ContainerStatistics& v);
/// Throw invalid_argument on what is not as above.
void from_json(const nlohmann::json& json, ContainerStatistics& v);
void to_json(nlohmann::json& json, const ReadStatistics& v);
void from_json(const nlohmann::json& json, ReadStatistics& v);
void to_json(nlohmann::json& json, const WatchContainer& v);
void from_json(const nlohmann::json& json, WatchContainer& v);
void to_json(nlohmann::json& json, const ContainerEvent& v);
void from_json(const nlohmann::json& json, ContainerEvent& v);

}  // namespace husk::guestcomm
