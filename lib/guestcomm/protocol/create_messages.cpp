// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/create_messages.hpp"

#include <set>

#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {

using nlohmann::json;

namespace {

std::vector<NamespaceUse> get_namespace_uses(const json& j) {
  if (!j.contains("namespaces")) return {};  // a host that speaks protocol 3
  const json& all = j["namespaces"];
  if (!all.is_array() || all.size() > 3) refuse("wrong list of namespaces");
  std::vector<NamespaceUse> uses;
  std::set<std::string> types;
  for (const json& one : all)
    if (!types.insert(uses.emplace_back(one.get<NamespaceUse>()).type).second)
      refuse("a namespace is given twice");
  return uses;
}

// An agent of before would bind the whole in place of a part, so that parts are in a member which it does not read.
constexpr const char *whole_key = "shared_tmpfs", *parts_key = "shared_tmpfs_parts";

void set_shared_tmpfs(json& j, const std::vector<SharedTmpfs>& all) {
  for (const SharedTmpfs& one : all) j[one.part ? parts_key : whole_key].push_back(one);
}

std::vector<SharedTmpfs> get_shared_tmpfs(const json& j) {
  std::vector<SharedTmpfs> shared;
  std::set<std::size_t> mounts;
  for (const char* key : {whole_key, parts_key}) {
    if (!j.contains(key)) continue;
    const json& all = j[key];
    if (!all.is_array() || all.size() > 1024) refuse("wrong list of shared tmpfs");
    for (const json& one : all) {
      if (!mounts.insert(shared.emplace_back(one.get<SharedTmpfs>()).mount).second)
        refuse("a mount is given two tmpfs");
      if (shared.back().part.has_value() != (key == parts_key))
        refuse("a part of a tmpfs is in the wrong list");
    }
  }
  return shared;
}

}  // namespace

void to_json(json& j, const CreateContainer& v) {
  j = json{{"id", v.id}, {"spec", v.spec}, {"stdio", write_stdio(v.stdio)}};
  if (!v.notify_socket.empty()) j["notify_socket"] = v.notify_socket;
  if (!v.hook_state.empty()) j["hook_state"] = v.hook_state;
  j["namespaces"] = v.namespaces;
  set_shared_tmpfs(j, v.shared_tmpfs);
}
void from_json(const json& j, CreateContainer& v) {
  v.id = get_string(j, "id");
  member(j, "spec").get_to(v.spec);
  v.stdio = get_stdio(j);
  v.notify_socket = get_optional_string(j, "notify_socket").value_or("");
  v.hook_state = get_optional_string(j, "hook_state").value_or("");
  v.namespaces = get_namespace_uses(j);
  v.shared_tmpfs = get_shared_tmpfs(j);
}

void to_json(json& j, const CreateProcess& v) {
  j = v.process;
  j["spec"] = v.spec;
  j["stdio"] = write_stdio(v.stdio);
  j["cgroup"] = v.cgroup;
}
void from_json(const json& j, CreateProcess& v) {
  j.get_to(v.process);
  member(j, "spec").get_to(v.spec);
  v.stdio = get_stdio(j);
  v.cgroup = get_string(j, "cgroup");
}

}  // namespace husk::guestcomm
