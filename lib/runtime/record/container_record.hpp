// SPDX-License-Identifier: Apache-2.0
// The record of a container between calls: <root>/<id>/state.json.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/process.hpp"
#include "lib/oci/spec.hpp"
#include "lib/oci/state.hpp"
#include "lib/runtime/record/container_state.hpp"

namespace husk::runtime {

struct ContainerRecord {
  static constexpr int current_version = 2;

  std::string id, oci_version, created, owner;
  std::filesystem::path bundle, rootfs;
  std::map<std::string, std::string> annotations;
  bool started = false;
  bool paused = false;  ///< or about to be, or not resumed to the end: `resume` is what it wants
  std::string vm_id;    ///< set before anything of the VM is made; all else is in vm_record.hpp
  std::vector<std::filesystem::path> cgroups;  ///< directories husk made, parents first
  std::string unit;                            ///< systemd's unit for it; empty: none
  oci::Hooks hooks;                            ///< those that run after create
  std::optional<ProcessIdentity> shim;         ///< set when create succeeded

  /// The state as users and hooks see it; pid 0 when stopped.
  oci::State to_state(ContainerState state) const;
};

/// Without a shim a container is being created while `create_at_work`, and stopped when create was
/// killed half-way. Whoever holds the container's lock knows that no create is; others take
/// StateStore::load_with_state. With a shim: what the shim's liveness tells.
ContainerState state_of(const ContainerRecord& record, bool create_at_work);

/// The part of a record that clean-up needs. Its fields keep their names and meaning in every
/// version of the record.
struct LeftOvers {
  std::string vm_id, unit;
  std::vector<std::filesystem::path> cgroups;
  std::optional<ProcessIdentity> shim;
};
LeftOvers left_overs_of(const ContainerRecord& record);
/// Whatever version it is: what is missing or not of the right type stays empty. Throws unsupported
/// for another runtime's record, which has no "vmId"; invalid_argument for an id or unit that husk
/// never gave: what it leads to is not husk's to remove.
LeftOvers read_left_overs(const nlohmann::json& object);

void to_json(nlohmann::json& json, const ContainerRecord& record);
/// Throws unsupported for another version or another runtime's record, invalid_argument for a damaged
/// one.
void from_json(const nlohmann::json& json, ContainerRecord& record);

}  // namespace husk::runtime
