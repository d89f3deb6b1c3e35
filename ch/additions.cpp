// SPDX-License-Identifier: Apache-2.0
#include "ch/additions.hpp"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/json_integer.hpp"
#include "lib/base/text.hpp"

namespace husk::ch {
namespace {

using nlohmann::json;

/// 1 TiB, more than a host with one VM of it has to spare.
constexpr std::uint64_t max_hotplug_mib = 1U << 20;
/// vsock(7) gives the CIDs 0 to 2 to the hypervisor, to "local" and to the host.
constexpr std::uint32_t first_guest_cid = 3, any_cid = 0xffffffff;

[[noreturn]] void refuse(const std::string& field, const std::string& what) {
  throw Error(Errc::invalid_argument, field + " " + what);
}

void check_fields(const json& object, const std::string& name,
                  std::initializer_list<const char*> known) {
  if (!object.is_object()) refuse(name, "is no object");
  for (const auto& field : object.items())
    if (std::ranges::none_of(known, [&](const char* one) { return field.key() == one; }))
      refuse(name, "has an unknown field " + quote(field.key()));
}

std::string read_text(const json& object, const std::string& prefix, const char* field) {
  const auto found = object.find(field);
  if (found == object.end()) refuse(prefix + field, "is missing");
  if (!found->is_string()) refuse(prefix + field, "is no string");
  return found->get<std::string>();
}

std::string read_path(const json& object, const std::string& prefix, const char* field) {
  std::string path = read_text(object, prefix, field);
  if (!path.starts_with('/')) refuse(prefix + field, "is no absolute path: " + quote(path));
  // The kernel would end the path there.
  if (path.find('\0') != std::string::npos) refuse(prefix + field, "has a NUL in it");
  return path;
}

template <typename T>
T read_number(const json& value, const std::string& field) {
  try {
    return get_integer<T>(value);
  } catch (const json::exception&) {
    refuse(field, "is no number that can be");
  }
}

void read_vsock(const json& object, Additions& additions) {
  if (!object.contains("vsock")) refuse("vsock", "is missing");
  const json& vsock = object["vsock"];
  check_fields(vsock, "vsock", {"cid", "socket"});
  if (!vsock.contains("cid")) refuse("vsock.cid", "is missing");
  additions.vsock_cid = read_number<std::uint32_t>(vsock["cid"], "vsock.cid");
  if (additions.vsock_cid < first_guest_cid || additions.vsock_cid == any_cid)
    refuse("vsock.cid", "is no guest's: " + std::to_string(additions.vsock_cid));
  additions.vsock_socket = read_path(vsock, "vsock.", "socket");
}

/// Calls `read_one` with each element of the array, which may be missing, and its name.
template <typename ReadOne>
void read_array(const json& object, const char* field, ReadOne&& read_one) {
  const auto array = object.find(field);
  if (array == object.end()) return;
  if (!array->is_array()) refuse(field, "is no array");
  std::size_t n = 0;
  for (const json& one : *array) read_one(one, field + ("[" + std::to_string(n++) + "]"));
}

void read_file_servers(const json& object, Additions& additions) {
  read_array(object, "fs", [&](const json& one, const std::string& name) {
    check_fields(one, name, {"tag", "socket"});
    additions.file_servers.push_back(
        {read_text(one, name + ".", "tag"), read_path(one, name + ".", "socket")});
  });
}

void read_landlock(const json& object, Additions& additions) {
  read_array(object, "landlock", [&](const json& one, const std::string& name) {
    check_fields(one, name, {"path", "access"});
    const std::string access = read_text(one, name + ".", "access");
    if (access != "r" && access != "w" && access != "rw")
      refuse(name + ".access", "is none of r, w and rw: " + quote(access));
    additions.landlock.push_back({read_path(one, name + ".", "path"), access});
  });
}

}  // namespace

Additions read_additions(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (object.is_discarded()) throw Error(Errc::invalid_argument, "is not JSON");
  check_fields(object, "the file",
               {"program", "vsock", "serial_file", "fs", "memory_hotplug_mib", "landlock"});
  Additions additions;
  additions.program = read_path(object, "", "program");
  additions.serial_file = read_path(object, "", "serial_file");
  read_vsock(object, additions);
  read_file_servers(object, additions);
  read_landlock(object, additions);
  if (const auto mib = object.find("memory_hotplug_mib"); mib != object.end())
    additions.memory_hotplug_mib = read_number<std::uint64_t>(*mib, "memory_hotplug_mib");
  if (additions.memory_hotplug_mib > max_hotplug_mib)
    refuse("memory_hotplug_mib", "is more than " + std::to_string(max_hotplug_mib));
  return additions;
}

}  // namespace husk::ch
