// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/namespace_use.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {
namespace {

using Way = NamespaceUse::Way;

constexpr std::size_t max_namespace_name = 64;
constexpr std::array<std::pair<Way, std::string_view>, 3> ways{
    {{Way::make, "make"}, {Way::join, "join"}, {Way::share, "share"}}};

std::string get_name(const nlohmann::json& j, const char* key) {
  std::string name = get_string(j, key);
  if (name.empty() || name.size() > max_namespace_name ||
      name.find_first_not_of("0123456789:") != std::string::npos)
    refuse("not the name of a namespace");
  return name;
}

Way read_way(const std::string& text) {
  const auto found =
      std::ranges::find(ways, text, [](const auto& way) { return std::string(way.second); });
  if (found == ways.end()) refuse("unknown way to a namespace");
  return found->first;
}

}  // namespace

void to_json(nlohmann::json& j, const NamespaceUse& v) {
  const auto way = std::ranges::find(ways, v.way, [](const auto& one) { return one.first; });
  j = nlohmann::json{{"type", v.type}, {"name", v.name}, {"way", way->second}};
  if (v.way != Way::make) j["origin"] = v.origin;
}

void from_json(const nlohmann::json& j, NamespaceUse& v) {
  v.type = get_string(j, "type");
  if (v.type != "pid" && v.type != "ipc" && v.type != "uts")
    refuse("a namespace that cannot be shared");
  v.name = get_name(j, "name");
  v.way = read_way(get_string(j, "way"));
  if (v.way != Way::make) v.origin = get_name(j, "origin");
}

}  // namespace husk::guestcomm
