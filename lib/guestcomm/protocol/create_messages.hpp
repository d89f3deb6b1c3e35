// SPDX-License-Identifier: Apache-2.0
// What the guest is to make: a container, or a process that joins one.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lib/guestcomm/protocol/done.hpp"
#include "lib/guestcomm/protocol/namespace_use.hpp"
#include "lib/guestcomm/protocol/process_ref.hpp"
#include "lib/guestcomm/protocol/shared_tmpfs.hpp"
#include "lib/guestcomm/protocol/stdio.hpp"
#include "lib/oci/spec.hpp"

namespace husk::guestcomm {

/// husk create. The spec as the guest shall apply it: root.path and the source of every bind mount are guest
/// paths below share_mount_point (share.hpp), of the hooks only startContainer is left, a network namespace means
/// the guest's own.
struct CreateContainer {
  static constexpr std::string_view method = "create_container";
  using Result = Done;
  std::string id;
  oci::Spec spec;
  StreamTokens stdio;
  /// In the container: where it shall find a socket for sd_notify(3), in place of the one that is
  /// there and leads nowhere. Empty: none.
  std::string notify_socket{};
  /// For startContainer hooks: the container's state as JSON, in which pid is to become what they
  /// see. Empty: there are none.
  std::string hook_state{};
  std::vector<NamespaceUse> namespaces{};   ///< at most one of each type
  std::vector<SharedTmpfs> shared_tmpfs{};  ///< at most one for each mount
};

/// husk exec: a process that joins a container, which has been created and has not ended.
struct CreateProcess {
  static constexpr std::string_view method = "create_process";
  using Result = Done;
  ProcessRef process;  ///< a name that no other process of the container has: [0-9a-z-], 1 to 64
  oci::Process spec;
  StreamTokens stdio;
  std::string cgroup;  ///< below the container's own, which must be there; empty: that itself
};

void to_json(nlohmann::json& json, const CreateContainer& v);
void from_json(const nlohmann::json& json, CreateContainer& v);
void to_json(nlohmann::json& json, const CreateProcess& v);
void from_json(const nlohmann::json& json, CreateProcess& v);

}  // namespace husk::guestcomm
