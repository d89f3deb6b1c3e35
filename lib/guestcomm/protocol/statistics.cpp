// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/statistics.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {
namespace {

using nlohmann::json;

constexpr std::size_t max_name_bytes = 64;
constexpr std::array<std::pair<const char*, std::optional<std::uint64_t> ContainerStatistics::*>, 7>
    single{{{"memory_used", &ContainerStatistics::memory_used},
            {"memory_limit", &ContainerStatistics::memory_limit},
            {"memory_peak", &ContainerStatistics::memory_peak},
            {"swap_used", &ContainerStatistics::swap_used},
            {"swap_limit", &ContainerStatistics::swap_limit},
            {"processes", &ContainerStatistics::processes},
            {"process_limit", &ContainerStatistics::process_limit}}};
constexpr std::array<std::pair<const char*, Counters ContainerStatistics::*>, 3> several{
    {{"cpu", &ContainerStatistics::cpu},
     {"memory", &ContainerStatistics::memory},
     {"memory_events", &ContainerStatistics::memory_events}}};

bool is_name(const std::string& text) {
  const auto is_fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
  };
  return !text.empty() && text.size() <= max_name_bytes && std::ranges::all_of(text, is_fine);
}

std::uint64_t read_count(const json& value, const std::string& name) {
  if (!value.is_number_unsigned()) refuse(name + " is not an unsigned number");
  return value.get<std::uint64_t>();
}

Counters read_counters(const json& value, const char* name) {
  if (!value.is_object() || value.size() > ContainerStatistics::max_counters)
    refuse(std::string(name) + " is not an object, or has too many counters");
  Counters counters;
  for (const auto& [key, count] : value.items()) {
    if (!is_name(key)) refuse(std::string(name) + " has a counter with an invalid name");
    counters[key] = read_count(count, key);
  }
  return counters;
}

}  // namespace

void to_json(json& j, const ContainerStatistics& v) {
  j = json::object();
  for (const auto& [name, field] : single)
    if (v.*field) j[name] = *(v.*field);
  for (const auto& [name, field] : several) j[name] = v.*field;
  json interfaces = json::array();
  for (const InterfaceStatistics& one : v.interfaces)
    interfaces.push_back({{"name", one.name}, {"counters", one.counters}});
  j["interfaces"] = std::move(interfaces);
}

void from_json(const json& j, ContainerStatistics& v) {
  v = {};
  for (const auto& [name, field] : several) v.*field = read_counters(member(j, name), name);
  for (const auto& [name, field] : single)
    if (j.contains(name)) v.*field = read_count(j.at(name), name);
  const json& interfaces = member(j, "interfaces");
  if (!interfaces.is_array() || interfaces.size() > ContainerStatistics::max_interfaces)
    refuse("interfaces is not an array, or has too many entries");
  for (const json& one : interfaces) {
    std::string name = get_string(one, "name").substr(0, max_name_bytes);
    std::ranges::replace_if(
        name, [](char c) { return c <= ' ' || c > '~'; }, '?');
    v.interfaces.push_back({std::move(name), read_counters(member(one, "counters"), "counters")});
  }
}

void to_json(json& j, const ReadStatistics& v) { j = json{{"id", v.id}}; }
void from_json(const json& j, ReadStatistics& v) { v.id = get_string(j, "id"); }

void to_json(json& j, const WatchContainer& v) { j = json{{"id", v.id}}; }
void from_json(const json& j, WatchContainer& v) { v.id = get_string(j, "id"); }

void to_json(json& j, const ContainerEvent& v) {
  j = json{{"id", v.id}, {"type", v.type == ContainerEvent::Type::oom ? "oom" : "stopped"}};
}

void from_json(const json& j, ContainerEvent& v) {
  v.id = get_string(j, "id");
  const std::string type = get_string(j, "type");
  if (type != "oom" && type != "stopped") refuse("unknown event type");
  v.type = type == "oom" ? ContainerEvent::Type::oom : ContainerEvent::Type::stopped;
}

}  // namespace husk::guestcomm
