// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/process_list.hpp"

#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {

using nlohmann::json;

void to_json(json& j, const ProcessList& v) {
  json processes = json::array();
  for (const ListedProcess& one : v.processes) {
    processes.push_back({{"pid", one.pid},
                         {"parent", one.parent},
                         {"uid", one.uid},
                         {"cpu_ms", one.cpu_ms},
                         {"command", one.command}});
  }
  j = json{{"processes", std::move(processes)}, {"is_cut", v.is_cut}};
}
void from_json(const json& j, ProcessList& v) {
  v.processes.clear();
  const json& is_cut = member(j, "is_cut");
  const json& processes = member(j, "processes");
  if (!is_cut.is_boolean() || !processes.is_array())
    refuse("processes is not an array, or is_cut is not a boolean");
  v.is_cut = is_cut.get<bool>();
  for (const json& one : processes) {
    const json& uid = member(one, "uid");
    const json& cpu_ms = member(one, "cpu_ms");
    if (!uid.is_number_unsigned() || uid.get<std::uint64_t>() > UINT32_MAX ||
        !cpu_ms.is_number_unsigned())
      refuse("processes has an invalid entry");
    v.processes.push_back({.pid = get_int(one, "pid"),
                           .parent = get_int(one, "parent"),
                           .uid = uid.get<std::uint32_t>(),
                           .cpu_ms = cpu_ms.get<std::uint64_t>(),
                           .command = harmless(get_string(one, "command"))});
  }
}

void to_json(json& j, const ListProcesses& v) { j = json{{"id", v.id}}; }
void from_json(const json& j, ListProcesses& v) { v.id = get_string(j, "id"); }

}  // namespace husk::guestcomm
