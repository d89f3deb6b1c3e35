// SPDX-License-Identifier: Apache-2.0
// The state that `husk state`, `husk list` and hooks show (runtime-spec runtime.md "State").
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace husk::oci {

struct State {
  std::string oci_version, id;
  int pid = 0;                          ///< host pid of the init shim; 0 when stopped
  std::string status;                   ///< "creating", "created", "running", "paused", "stopped"
  std::string bundle, rootfs, created;  ///< created: RFC 3339 with nanoseconds, UTC
  std::map<std::string, std::string> annotations;
  std::string owner;
};

/// In runc's field order, annotations left out when empty: ociVersion, id, pid, status, bundle,
/// rootfs, created, annotations, owner. Ordered JSON so that the text comes out in that order.
nlohmann::ordered_json to_ordered_json(const State& state);

}  // namespace husk::oci
