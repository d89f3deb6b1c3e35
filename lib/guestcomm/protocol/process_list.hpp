// SPDX-License-Identifier: Apache-2.0
// A container's processes, as the container sees them, for people.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace husk::guestcomm {

struct ListedProcess {
  int pid = 0, parent = 0;  ///< 0: a parent outside of the container
  std::uint32_t uid = 0;
  std::uint64_t cpu_ms = 0;  ///< used so far
  std::string command;       ///< cut; without control characters once it is received
};
struct ProcessList {
  std::vector<ListedProcess> processes;
  bool is_cut = false;  ///< there are more
};

/// husk ps.
struct ListProcesses {
  static constexpr std::string_view method = "list_processes";
  using Result = ProcessList;
  std::string id;
};

void to_json(nlohmann::json& json, const ProcessList& v);
void from_json(const nlohmann::json& json, ProcessList& v);
void to_json(nlohmann::json& json, const ListProcesses& v);
void from_json(const nlohmann::json& json, ListProcesses& v);

}  // namespace husk::guestcomm
