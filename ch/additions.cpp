// SPDX-License-Identifier: Apache-2.0
#include "ch/additions.hpp"

#include <net/if.h>
#include <sys/un.h>

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/json_integer.hpp"
#include "lib/base/text.hpp"
#include "lib/oci/bundle.hpp"

namespace husk::ch {
namespace {

using nlohmann::json;

constexpr std::size_t max_path_bytes = 4095;                                  ///< PATH_MAX
constexpr std::size_t max_socket_bytes = sizeof(sockaddr_un{}.sun_path) - 1;  ///< unix(7)
constexpr std::size_t max_tag_bytes = 36;  ///< virtio 1.2, 5.11.4: the tag's field
constexpr std::size_t max_mac_bytes = 17;
constexpr std::size_t max_entries = 64;
constexpr std::uint32_t first_guest_cid = 3;  ///< vsock(7): hypervisor, local, host
/// 1 TiB, more than a host with one VM of it has to spare.
constexpr std::uint64_t max_hotplug_mib = 1u << 20;

[[noreturn]] void refuse_field(const std::string& field, const std::string& why) {
  throw Error(Errc::invalid_argument, field + ": " + why);
}

/// An object of the file, and the path that leads to it.
class Object {
 public:
  Object(const json& value, std::string path, std::initializer_list<std::string_view> known)
      : value_(value), path_(std::move(path)) {
    if (!value.is_object()) refuse_field(path_.empty() ? "the file" : path_, "not an object");
    for (const auto& [key, member] : value.items()) {
      if (std::ranges::find(known, key) == known.end())
        refuse_field(path_of(quote(key)), "unknown key");
    }
  }

  std::string path_of(const std::string& key) const {
    return path_.empty() ? key : path_ + "." + key;
  }
  const json* find(const char* key) const {
    const auto found = value_.find(key);
    return found == value_.end() ? nullptr : &*found;
  }
  const json& get(const char* key) const {
    const json* const found = find(key);
    if (found == nullptr) refuse_field(path_of(key), "missing");
    return *found;
  }

  std::string text(const char* key, std::size_t max_bytes) const {
    const json& member = get(key);
    if (!member.is_string()) refuse_field(path_of(key), "not a string");
    const auto& text = member.get_ref<const std::string&>();
    if (text.empty()) refuse_field(path_of(key), "empty");
    if (text.size() > max_bytes)
      refuse_field(path_of(key), "longer than " + std::to_string(max_bytes) + " bytes");
    if (has_controls(text)) refuse_field(path_of(key), "has control characters: " + quote(text));
    return text;
  }
  std::string absolute_path(const char* key, std::size_t max_bytes = max_path_bytes) const {
    std::string path = text(key, max_bytes);
    if (path.front() != '/') refuse_field(path_of(key), "not an absolute path: " + quote(path));
    return path;
  }
  template <typename Integer>
  Integer number(const char* key, Integer least, Integer most) const {
    Integer number{};
    bool fits = true;
    try {
      read_integer(get(key), number);
    } catch (const json::exception&) {
      fits = false;
    }
    if (!fits || number < least || number > most)
      refuse_field(path_of(key),
                   "not a number from " + std::to_string(least) + " to " + std::to_string(most));
    return number;
  }
  bool flag(const char* key) const {
    const json* const member = find(key);
    if (member == nullptr) return false;
    if (!member->is_boolean()) refuse_field(path_of(key), "not true or false");
    return member->get<bool>();
  }
  const json& array(const char* key) const {
    const json& member = get(key);
    if (!member.is_array()) refuse_field(path_of(key), "not an array");
    if (member.size() > max_entries)
      refuse_field(path_of(key), "more than " + std::to_string(max_entries) + " entries");
    return member;
  }

 private:
  const json& value_;
  std::string path_;
};

/// Calls `read` for each entry, with its path.
template <typename Read>
auto read_array(const Object& object, const char* key, Read&& read) {
  std::vector<decltype(read(json(), std::string()))> entries;
  for (const json& entry : object.array(key)) {
    const std::string index = "[" + std::to_string(entries.size()) + "]";
    entries.push_back(read(entry, object.path_of(key) + index));
  }
  return entries;
}

SharedDirectory read_shared_directory(const json& value, const std::string& path) {
  const Object object(value, path, {"tag", "socket"});
  return {.tag = object.text("tag", max_tag_bytes),
          .socket = object.absolute_path("socket", max_socket_bytes)};
}

NetworkCard read_network_card(const json& value, const std::string& path) {
  const Object object(value, path, {"tap", "mac"});
  return {.tap = object.text("tap", IFNAMSIZ - 1), .mac = object.text("mac", max_mac_bytes)};
}

Vsock read_vsock(const json& value) {
  const Object object(value, "vsock", {"cid", "socket"});
  // The largest means any guest to bind(2).
  return {.cid = object.number<std::uint32_t>("cid", first_guest_cid,
                                              std::numeric_limits<std::uint32_t>::max() - 1),
          .socket = object.absolute_path("socket", max_socket_bytes)};
}

LandlockRule read_landlock_rule(const json& value, const std::string& path) {
  const Object object(value, path, {"path", "access"});
  LandlockRule rule{.path = object.absolute_path("path"), .access = object.text("access", 8)};
  if (rule.access != "r" && rule.access != "w" && rule.access != "rw")
    refuse_field(object.path_of("access"), "not r, w or rw: " + quote(rule.access));
  return rule;
}

Additions read_additions(const json& document) {
  const Object object(document, "",
                      {"program", "fs", "net", "vsock", "serial_file", "memory_hotplug_mib",
                       "landlock", "pvpanic"});
  Additions additions;
  additions.program = object.absolute_path("program");
  additions.fs = read_array(object, "fs", read_shared_directory);
  additions.net = read_array(object, "net", read_network_card);
  additions.vsock = read_vsock(object.get("vsock"));
  additions.serial_file = object.absolute_path("serial_file");
  if (object.find("landlock") != nullptr)
    additions.landlock = read_array(object, "landlock", read_landlock_rule);
  if (object.find("memory_hotplug_mib") != nullptr)
    additions.memory_hotplug_mib =
        object.number<std::uint64_t>("memory_hotplug_mib", 0, max_hotplug_mib);
  additions.pvpanic = object.flag("pvpanic");
  return additions;
}

}  // namespace

Additions parse_additions(std::string_view text) {
  if (text.size() > max_additions_bytes)
    refuse_field(additions_file, "larger than " + std::to_string(max_additions_bytes) + " bytes");
  const json document = oci::parse_json(text, additions_file);
  return step(additions_file, [&] { return read_additions(document); });
}

Additions load_additions(const std::filesystem::path& folder) {
  return parse_additions(read_file(folder / additions_file, max_additions_bytes));
}

}  // namespace husk::ch
