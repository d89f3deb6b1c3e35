// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/process_ref.hpp"

#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {

using nlohmann::json;

void to_json(json& j, const ProcessRef& v) {
  j = json{{"container", v.container}, {"process", v.process}};
}
void from_json(const json& j, ProcessRef& v) {
  v.container = get_string(j, "container");
  v.process = get_string(j, "process");
}

}  // namespace husk::guestcomm
