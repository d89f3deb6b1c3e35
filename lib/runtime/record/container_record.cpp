// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/record/container_record.hpp"

#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/hypervisor/vm_id.hpp"
#include "lib/runtime/record/process_json.hpp"
#include "lib/systemd/scope_name.hpp"

namespace husk::runtime {
namespace {

using nlohmann::json;

/// A record of runc's, or of another runtime, in a state directory that all of them share.
[[noreturn]] void throw_foreign() {
  throw Error(Errc::unsupported, "was created by another runtime");
}

/// The record names what is ended and removed: checked before it is believed.
void check_fields(const std::string& vm_id, const std::string& unit) {
  hypervisor::check_vm_id(vm_id);
  if (!unit.empty()) systemd::check_scope_name(unit);
}

void read_fields(const json& j, ContainerRecord& record) {
  int version = 0;
  read_integer(j.at("version"), version);
  if (version != ContainerRecord::current_version) {
    throw Error(Errc::unsupported, "unsupported state version " + j.at("version").dump());
  }
  j.at("id").get_to(record.id);
  j.at("ociVersion").get_to(record.oci_version);
  j.at("created").get_to(record.created);
  j.at("owner").get_to(record.owner);
  record.bundle = j.at("bundle").get<std::string>();
  record.rootfs = j.at("rootfs").get<std::string>();
  j.at("annotations").get_to(record.annotations);
  j.at("started").get_to(record.started);
  record.paused = j.value("paused", false);
  j.at("vmId").get_to(record.vm_id);
  for (const json& path : j.at("cgroups")) record.cgroups.emplace_back(path.get<std::string>());
  record.unit = j.value("unit", "");
  check_fields(record.vm_id, record.unit);
  j.at("hooks").get_to(record.hooks);
  if (j.contains("shim")) record.shim = j["shim"].get<ProcessIdentity>();
}

}  // namespace

void to_json(json& j, const ContainerRecord& record) {
  json cgroups = json::array();
  for (const auto& path : record.cgroups) cgroups.push_back(path.string());
  j = json{{"version", ContainerRecord::current_version},
           {"id", record.id},
           {"ociVersion", record.oci_version},
           {"created", record.created},
           {"owner", record.owner},
           {"bundle", record.bundle.string()},
           {"rootfs", record.rootfs.string()},
           {"annotations", record.annotations},
           {"started", record.started},
           {"paused", record.paused},
           {"vmId", record.vm_id},
           {"cgroups", std::move(cgroups)},
           {"unit", record.unit},
           {"hooks", record.hooks}};
  if (record.shim) j["shim"] = *record.shim;
}

void from_json(const json& j, ContainerRecord& record) {
  if (j.is_object() && !j.contains("vmId")) throw_foreign();
  try {
    read_fields(j, record);
  } catch (const json::exception& e) {
    throw Error(Errc::invalid_argument, std::string("damaged state: ") + e.what());
  }
}

ContainerState state_of(const ContainerRecord& record, bool create_at_work) {
  if (!record.shim) return create_at_work ? ContainerState::creating : ContainerState::stopped;
  if (!is_alive(*record.shim)) return ContainerState::stopped;
  if (record.paused) return ContainerState::paused;
  return record.started ? ContainerState::running : ContainerState::created;
}

LeftOvers left_overs_of(const ContainerRecord& record) {
  return {
      .vm_id = record.vm_id, .unit = record.unit, .cgroups = record.cgroups, .shim = record.shim};
}

LeftOvers read_left_overs(const json& object) {
  if (!object.contains("vmId")) throw_foreign();
  const auto cgroups = read_each_if_possible<std::string>(object, "cgroups");
  LeftOvers left{.vm_id = read_if_possible<std::string>(object, "vmId").value_or(""),
                 .unit = read_if_possible<std::string>(object, "unit").value_or(""),
                 .cgroups = {cgroups.begin(), cgroups.end()},
                 .shim = read_if_possible<ProcessIdentity>(object, "shim")};
  check_fields(left.vm_id, left.unit);
  return left;
}

oci::State ContainerRecord::to_state(ContainerState state) const {
  return {.oci_version = oci_version,
          .id = id,
          .pid = shim && state != ContainerState::stopped ? shim->pid : 0,
          .status = std::string(name_of(state)),
          .bundle = bundle.string(),
          .rootfs = rootfs.string(),
          .created = created,
          .annotations = annotations,
          .owner = owner};
}

}  // namespace husk::runtime
