// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/container_messages.hpp"

#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {

using nlohmann::json;

void to_json(json& j, const PauseContainer& v) { j = json{{"id", v.id}}; }
void from_json(const json& j, PauseContainer& v) { v.id = get_string(j, "id"); }

void to_json(json& j, const ResumeContainer& v) { j = json{{"id", v.id}}; }
void from_json(const json& j, ResumeContainer& v) { v.id = get_string(j, "id"); }

void to_json(json& j, const UpdateContainer& v) {
  j = json{{"id", v.id}, {"resources", v.resources}};
}
void from_json(const json& j, UpdateContainer& v) {
  v.id = get_string(j, "id");
  v.resources = member(j, "resources").get<oci::Resources>();
}

void to_json(json& j, const DeleteContainer& v) { j = json{{"id", v.id}}; }
void from_json(const json& j, DeleteContainer& v) { v.id = get_string(j, "id"); }

}  // namespace husk::guestcomm
