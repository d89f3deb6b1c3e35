// SPDX-License-Identifier: Apache-2.0
// How a container comes to its pid, ipc and uts namespaces in the guest. Each stands for one of the host's,
// whose name both sides know.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace husk::guestcomm {

/// The first protocol in which the agent knows of these; an older one skips them.
inline constexpr int sharing_protocol = 4;

struct NamespaceUse {
  enum class Way {
    make,  ///< a new one, or the guest's own: as the spec says
    join,  ///< that of `origin`, which a container that runs must have
    share  ///< that of `origin`, or a new one if no container has it
  };
  std::string type;  ///< "pid", "ipc" or "uts"
  std::string name;  ///< of the shim's namespace, by which others join: 1 to 64 of [0-9:]
  Way way = Way::make;
  std::string origin{};  ///< for join and share: the name by which the container joins
  bool operator==(const NamespaceUse&) const = default;
};

void to_json(nlohmann::json& json, const NamespaceUse& v);
/// Throws invalid_argument for another type, name or way.
void from_json(const nlohmann::json& json, NamespaceUse& v);

}  // namespace husk::guestcomm
