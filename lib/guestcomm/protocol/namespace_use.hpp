// SPDX-License-Identifier: Apache-2.0
// How a container comes to its pid, ipc and uts namespaces in the guest. Each stands for one of the host's,
// whose name both sides know.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace husk::guestcomm {

struct NamespaceUse {
  enum class Way {
    make,  ///< a new one, or the guest's own: as the spec says. From now on it has this name
    join,  ///< the one of this name, which a container that exists must have
    share  ///< the one of this name; if there is none, a new one, which stays until the guest ends
  };
  std::string type;  ///< "pid", "ipc" or "uts"
  std::string name;  ///< 1 to 64 of [0-9:]
  Way way = Way::make;
  bool operator==(const NamespaceUse&) const = default;
};

void to_json(nlohmann::json& json, const NamespaceUse& v);
/// Throws invalid_argument for another type, name or way.
void from_json(const nlohmann::json& json, NamespaceUse& v);

}  // namespace husk::guestcomm
