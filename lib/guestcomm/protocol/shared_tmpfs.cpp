// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/shared_tmpfs.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <limits>
#include <string_view>

#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t max_tmpfs_name = 64, max_tmpfs_options = 16, max_tmpfs_option = 32;
constexpr std::array tmpfs_flags{"nosuid"sv, "nodev"sv, "noexec"sv};
constexpr std::array tmpfs_values{"size="sv, "mode="sv, "uid="sv, "gid="sv};

bool is_tmpfs_option(std::string_view option) {
  if (option.size() > max_tmpfs_option) return false;
  if (std::ranges::find(tmpfs_flags, option) != tmpfs_flags.end()) return true;
  return std::ranges::any_of(tmpfs_values, [&](std::string_view key) {
    return option.size() > key.size() && option.starts_with(key) &&
           option.find_first_not_of("0123456789k", key.size()) == std::string_view::npos;
  });
}

std::vector<std::string> get_tmpfs_options(const nlohmann::json& j) {
  const nlohmann::json& all = member(j, "options");
  if (!all.is_array() || all.size() > max_tmpfs_options) refuse("wrong list of tmpfs options");
  std::vector<std::string> options;
  for (const nlohmann::json& one : all) {
    if (!one.is_string() || !is_tmpfs_option(one.get_ref<const std::string&>()))
      refuse("not an option of a shared tmpfs");
    options.push_back(one.get<std::string>());
  }
  return options;
}

template <class Integer>
Integer get_up_to(const nlohmann::json& j, const char* key, Integer most) {
  const std::int64_t value = get_int64(j, key);
  if (value < 0 || value > std::int64_t{most}) refuse(std::string(key) + " is out of range");
  return static_cast<Integer>(value);
}

TmpfsPart get_part(const nlohmann::json& j) {
  TmpfsPart part{.path = get_string(j, "path"),
                 .mode = get_up_to<std::uint16_t>(j, "mode", 07777),
                 .uid = get_up_to(j, "uid", std::numeric_limits<std::uint32_t>::max()),
                 .gid = get_up_to(j, "gid", std::numeric_limits<std::uint32_t>::max())};
  if (!part.path.starts_with('/') || part.path.size() >= PATH_MAX ||
      part.path.find('\0') != std::string::npos)
    refuse("not a path in a tmpfs");
  return part;
}

}  // namespace

void to_json(nlohmann::json& j, const SharedTmpfs& v) {
  j = nlohmann::json{
      {"mount", v.mount}, {"name", v.name}, {"options", v.options}, {"kept", v.is_kept}};
  if (v.part)
    j["part"] = {
        {"path", v.part->path}, {"mode", v.part->mode}, {"uid", v.part->uid}, {"gid", v.part->gid}};
}

void from_json(const nlohmann::json& j, SharedTmpfs& v) {
  v.mount = get_uint16(j, "mount");
  v.name = get_string(j, "name");
  if (v.name.empty() || v.name.size() > max_tmpfs_name ||
      v.name.find_first_not_of("0123456789:") != std::string::npos)
    refuse("not the name of a tmpfs");
  v.options = get_tmpfs_options(j);
  v.is_kept = get_bool(j, "kept");
  if (j.contains("part")) v.part = get_part(j["part"]);
}

}  // namespace husk::guestcomm
