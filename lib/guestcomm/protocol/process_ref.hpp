// SPDX-License-Identifier: Apache-2.0
// The name of a process in a guest.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace husk::guestcomm {

/// One process of a container. By name, which the host makes up; the first one's is empty.
struct ProcessRef {
  std::string container, process;
  bool operator==(const ProcessRef&) const = default;
};

void to_json(nlohmann::json& json, const ProcessRef& v);
void from_json(const nlohmann::json& json, ProcessRef& v);

}  // namespace husk::guestcomm
