// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/state.hpp"

#include <nlohmann/json.hpp>

namespace husk::oci {

nlohmann::ordered_json to_ordered_json(const State& state) {
  nlohmann::ordered_json json;
  json["ociVersion"] = state.oci_version;
  json["id"] = state.id;
  json["pid"] = state.pid;
  json["status"] = state.status;
  json["bundle"] = state.bundle;
  json["rootfs"] = state.rootfs;
  json["created"] = state.created;
  if (!state.annotations.empty()) json["annotations"] = state.annotations;
  json["owner"] = state.owner;
  return json;
}

}  // namespace husk::oci
