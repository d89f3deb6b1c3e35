// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/create_messages.hpp"

#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {

using nlohmann::json;

void to_json(json& j, const CreateContainer& v) {
  j = json{{"id", v.id}, {"spec", v.spec}, {"stdio", write_stdio(v.stdio)}};
  if (!v.notify_socket.empty()) j["notify_socket"] = v.notify_socket;
  if (!v.hook_state.empty()) j["hook_state"] = v.hook_state;
}
void from_json(const json& j, CreateContainer& v) {
  v.id = get_string(j, "id");
  member(j, "spec").get_to(v.spec);
  v.stdio = get_stdio(j);
  v.notify_socket = get_optional_string(j, "notify_socket").value_or("");
  v.hook_state = get_optional_string(j, "hook_state").value_or("");
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
