// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/container_record.hpp"

#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"

namespace husk::runtime {
namespace {

using nlohmann::json;

json write(const ProcessIdentity& process) {
  return {{"pid", process.pid}, {"startTime", process.start_time}};
}
ProcessIdentity read_process(const json& j) {
  return {.pid = j.at("pid").get<pid_t>(), .start_time = j.at("startTime").get<std::uint64_t>()};
}

json write(const VmRecord& vm) {
  json helpers = json::array();
  for (const ProcessIdentity& helper : vm.helpers) helpers.push_back(write(helper));
  return {{"id", vm.id},
          {"name", vm.name},
          {"process", write(vm.process)},
          {"helpers", helpers},
          {"address", vm.guest.address},
          {"secret", vm.guest.secret}};
}
VmRecord read_vm(const json& j) {
  VmRecord vm{.id = j.at("id").get<std::string>(),
              .name = j.at("name").get<std::string>(),
              .process = read_process(j.at("process")),
              .helpers = {},
              .guest = {.address = j.at("address").get<guestcomm::GuestAddress>(),
                        .secret = j.at("secret").get<std::string>()}};
  for (const json& helper : j.at("helpers")) vm.helpers.push_back(read_process(helper));
  return vm;
}

void read_fields(const json& j, ContainerRecord& record) {
  if (j.at("version").get<int>() != ContainerRecord::current_version) {
    throw Error(Errc::unsupported, "state of version " + j.at("version").dump());
  }
  j.at("id").get_to(record.id);
  j.at("ociVersion").get_to(record.oci_version);
  j.at("created").get_to(record.created);
  j.at("owner").get_to(record.owner);
  record.bundle = j.at("bundle").get<std::string>();
  record.rootfs = j.at("rootfs").get<std::string>();
  j.at("annotations").get_to(record.annotations);
  j.at("started").get_to(record.started);
  j.at("vmId").get_to(record.vm_id);
  j.at("vmName").get_to(record.vm_name);
  for (const json& path : j.at("cgroups")) record.cgroups.emplace_back(path.get<std::string>());
  record.unit = j.value("unit", "");
  if (j.contains("networkNamespace"))
    record.network_namespace = j["networkNamespace"].get<std::string>();
  j.at("hooks").get_to(record.hooks);
  if (j.contains("shim")) record.shim = read_process(j["shim"]);
  if (j.contains("vm")) record.vm = read_vm(j["vm"]);
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
           {"vmId", record.vm_id},
           {"vmName", record.vm_name},
           {"cgroups", std::move(cgroups)},
           {"unit", record.unit},
           {"hooks", record.hooks}};
  if (record.network_namespace) j["networkNamespace"] = *record.network_namespace;
  if (record.shim) j["shim"] = write(*record.shim);
  if (record.vm) j["vm"] = write(*record.vm);
}

void from_json(const json& j, ContainerRecord& record) {
  try {
    read_fields(j, record);
  } catch (const json::exception& e) {
    throw Error(Errc::invalid_argument, std::string("damaged state: ") + e.what());
  }
}

LeftOvers left_overs_of(const ContainerRecord& record) {
  LeftOvers left{.vm_id = record.vm_id,
                 .vm_name = record.vm_name,
                 .unit = record.unit,
                 .cgroups = record.cgroups,
                 .shim = record.shim,
                 .vm_process = {},
                 .helpers = {}};
  if (record.vm) {
    left.vm_process = record.vm->process;
    left.helpers = record.vm->helpers;
  }
  return left;
}

LeftOvers read_left_overs(const json& object) {
  LeftOvers left;
  const auto attempt = [](auto&& read) {
    try {
      read();
    } catch (const json::exception&) {
      // missing, or of another type: there is nothing to be known
    }
  };
  attempt([&] { object.at("vmId").get_to(left.vm_id); });
  attempt([&] { object.at("vmName").get_to(left.vm_name); });
  attempt([&] { object.at("unit").get_to(left.unit); });
  attempt([&] { left.shim = read_process(object.at("shim")); });
  attempt([&] { left.vm_process = read_process(object.at("vm").at("process")); });
  attempt([&] {
    for (const json& path : object.at("cgroups"))
      left.cgroups.emplace_back(path.get<std::string>());
  });
  attempt([&] {
    for (const json& helper : object.at("vm").at("helpers"))
      left.helpers.push_back(read_process(helper));
  });
  return left;
}

std::string ContainerRecord::status() const {
  if (!shim) return "creating";
  if (!is_alive(*shim)) return "stopped";
  return started ? "running" : "created";
}

oci::State ContainerRecord::to_state() const {
  oci::State state{.oci_version = oci_version,
                   .id = id,
                   .pid = 0,
                   .status = status(),
                   .bundle = bundle.string(),
                   .rootfs = rootfs.string(),
                   .created = created,
                   .annotations = annotations,
                   .owner = owner};
  if (shim && state.status != "stopped") state.pid = shim->pid;
  return state;
}

}  // namespace husk::runtime
