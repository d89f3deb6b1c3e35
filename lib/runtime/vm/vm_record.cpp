// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/vm_record.hpp"

#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/text.hpp"
#include "lib/hypervisor/vm_id.hpp"
#include "lib/oci/bundle.hpp"
#include "lib/oci/check.hpp"
#include "lib/runtime/plan/vm_paths.hpp"
#include "lib/runtime/record/process_json.hpp"
#include "lib/runtime/vm/other_mount_namespace.hpp"
#include "lib/runtime/vm/size_json.hpp"

namespace husk::runtime {
namespace {

using nlohmann::json;

/// Some hundred bytes, and an id for each member.
constexpr std::size_t max_vm_record_bytes = 1U << 20;
constexpr const char* kvm = "kvm";

/// The record names what is killed and destroyed: nothing but this VM's own.
bool is_name_of(const std::string& name, const std::string& vm_id) {
  return name == vm_name(vm_id);
}

void read_member(const json& j, VmMember& member) {
  j.at("id").get_to(member.id);
  oci::check_container_id(member.id);
  if (j.contains("shim")) member.shim = j["shim"].get<ProcessIdentity>();
  if (j.contains("demand")) member.demand = read_demand(j["demand"]);
}

/// Returns nothing where one of them cannot be read: a container that is not known may run.
std::optional<std::vector<VmMember>> read_members_if_possible(const json& object) try {
  std::vector<VmMember> members;
  for (const json& member : object.at("members").get<json::array_t>())
    read_member(member, members.emplace_back());
  return members;
} catch (const json::exception&) {
  return std::nullopt;
} catch (const Error&) {
  return std::nullopt;  // an id that is none
}

json pod_json(const VmPod& pod) {
  json j{{"root", pod.root}, {"sandbox", pod.sandbox}};
  if (pod.network) j["network"] = to_string(*pod.network);
  return j;
}

std::optional<VmPod> read_pod(const json& j) {
  VmPod pod{.root = j.at("root"), .sandbox = j.at("sandbox"), .network = std::nullopt};
  if (j.contains("network")) pod.network = parse_namespace_id(j["network"].get<std::string>());
  return pod;
}

std::optional<VmPod> read_pod_if_possible(const json& object) try {
  return read_pod(object.at("pod"));
} catch (const json::exception&) {
  return std::nullopt;
} catch (const Error&) {
  return std::nullopt;
}

json member_json(const VmMember& member) {
  json j{{"id", member.id}};
  if (member.shim) j["shim"] = *member.shim;
  if (member.demand) j["demand"] = demand_json(*member.demand);
  return j;
}

void read_size(const json& j, VmRecord& record) {
  if (j.contains("shape")) record.shape = read_shape(j["shape"]);
  if (j.contains("pod_demand")) record.pod_demand = read_demand(j["pod_demand"]);
  if (j.contains("fixed_size")) record.fixed_size = read_vm_size(j["fixed_size"]);
  if (j.value("accelerator", "") == kvm) record.accelerator = hypervisor::Accelerator::kvm;
  if (j.contains("limits")) record.limits = read_limits(j["limits"]);
}

void write_size(json& j, const VmRecord& record) {
  if (record.shape) j["shape"] = shape_json(*record.shape);
  if (record.pod_demand != Demand{}) j["pod_demand"] = demand_json(record.pod_demand);
  if (record.fixed_size != VmSize{}) j["fixed_size"] = vm_size_json(record.fixed_size);
  if (record.accelerator == hypervisor::Accelerator::kvm) j["accelerator"] = kvm;
  if (record.limits != CgroupLimits{}) j["limits"] = limits_json(record.limits);
}

void read_fields(const json& j, VmRecord& record) {
  int version = 0;
  read_integer(j.at("version"), version);
  if (version != VmRecord::current_version)
    throw Error(Errc::unsupported, "unsupported VM record version " + j.at("version").dump());
  j.at("id").get_to(record.id);
  hypervisor::check_vm_id(record.id);
  j.at("name").get_to(record.name);
  if (!is_name_of(record.name, record.id))
    throw Error(Errc::invalid_argument, "damaged VM record: name " + quote(record.name) +
                                            ": is not that of VM " + record.id);
  j.at("uri").get_to(record.uri);
  j.at("secret").get_to(record.secret);
  for (const json& member : j.at("members")) read_member(member, record.members.emplace_back());
  j.at("helpers").get_to(record.helpers);
  if (j.contains("network_cards")) read_integer(j["network_cards"], record.network_cards);
  if (j.contains("network_namespace"))
    record.network_namespace = j["network_namespace"].get<std::string>();
  if (j.contains("pod")) record.pod = read_pod(j["pod"]);
  if (j.contains("cgroups"))
    for (const json& path : j["cgroups"]) record.cgroups.emplace_back(path.get<std::string>());
  read_size(j, record);
  if (j.contains("guest_tmpfs")) j["guest_tmpfs"].get_to(record.guest_tmpfs);
  if (j.contains("process")) record.process = j["process"].get<ProcessIdentity>();
  if (j.contains("address")) record.address = j["address"].get<guestcomm::GuestAddress>();
}

json read_json(const std::string& vm_id) {
  const std::filesystem::path path = VmPaths(vm_id).record();
  return oci::parse_json(read_file(path, max_vm_record_bytes), path.string());
}

void save_json(const std::string& vm_id, const json& object) {
  const std::string text = object.dump(2, ' ', false, json::error_handler_t::replace);
  write_file_atomic(VmPaths(vm_id).record(), text, 0600);
}

}  // namespace

void to_json(json& j, const VmRecord& record) {
  json members = json::array();
  for (const VmMember& member : record.members) members.push_back(member_json(member));
  j = json{{"version", VmRecord::current_version},
           {"id", record.id},
           {"name", record.name},
           {"uri", record.uri},
           {"secret", record.secret},
           {"members", std::move(members)},
           {"helpers", record.helpers},
           {"network_cards", record.network_cards}};
  if (record.network_namespace) j["network_namespace"] = *record.network_namespace;
  if (record.pod) j["pod"] = pod_json(*record.pod);
  for (const auto& path : record.cgroups) j["cgroups"].push_back(path.string());
  write_size(j, record);
  if (!record.guest_tmpfs.empty()) j["guest_tmpfs"] = record.guest_tmpfs;
  if (record.process) j["process"] = *record.process;
  if (record.address) j["address"] = *record.address;
}

void from_json(const json& j, VmRecord& record) {
  try {
    read_fields(j, record);
  } catch (const json::exception& e) {
    throw Error(Errc::invalid_argument, std::string("damaged VM record: ") + e.what());
  }
}

VmLeftOvers read_vm_left_overs(const json& object) {
  const auto cgroups = read_each_if_possible<std::string>(object, "cgroups");
  return {.name = read_if_possible<std::string>(object, "name").value_or(""),
          .uri = read_if_possible<std::string>(object, "uri").value_or(""),
          .network_namespace = read_if_possible<std::string>(object, "network_namespace"),
          .process = read_if_possible<ProcessIdentity>(object, "process"),
          .helpers = read_each_if_possible<ProcessIdentity>(object, "helpers"),
          .pod = read_pod_if_possible(object),
          .cgroups = {cgroups.begin(), cgroups.end()},
          .members = read_members_if_possible(object)};
}

std::vector<ProcessIdentity> live_shims(const std::vector<VmMember>& members) {
  std::vector<ProcessIdentity> shims;
  for (const VmMember& member : members)
    if (member.shim && is_alive(*member.shim)) shims.push_back(*member.shim);
  return shims;
}

std::vector<ProcessIdentity> live_shims(const VmRecord& record) {
  return live_shims(record.members);
}

std::vector<std::string> vm_ids() {
  std::vector<std::string> ids;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(vm_directories, none))
    if (std::string id = entry.path().filename(); hypervisor::is_vm_id(id))
      ids.push_back(std::move(id));
  return ids;
}

VmRecord load_vm(const std::string& vm_id) {
  return step("VM " + vm_id, [&] {
    try {
      auto record = read_json(vm_id).get<VmRecord>();
      if (record.id != vm_id)
        throw Error(Errc::invalid_argument, "damaged VM record: belongs to VM " + record.id);
      return record;
    } catch (const Error& e) {
      if (e.sys_errno() != ENOENT) throw;
      const VmPaths paths(vm_id);
      if (find_vm_directory(paths, {})) throw other_mount_namespace_error(paths);
      throw Error(Errc::not_found, "is gone");
    }
  });
}

VmLeftOvers load_vm_left_overs(const std::string& vm_id) {
  try {
    VmLeftOvers left = read_vm_left_overs(read_json(vm_id));
    if (!is_name_of(left.name, vm_id)) left.name.clear();
    return left;
  } catch (const Error&) {
    return {};  // what runs is found by the VM's name, which its id and its container tell
  }
}

void save_vm(const VmRecord& record) { save_json(record.id, record); }

void strike_off_member(const std::string& vm_id, const std::string& container) {
  json object = read_json(vm_id);
  json others = json::array();
  for (json& member : object.at("members"))
    if (member.at("id") != container) others.push_back(std::move(member));
  object["members"] = std::move(others);
  save_json(vm_id, object);
}

}  // namespace husk::runtime
