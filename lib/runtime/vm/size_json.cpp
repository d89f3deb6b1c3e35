// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/size_json.hpp"

#include <nlohmann/json.hpp>

namespace husk::runtime {
namespace {

using hypervisor::MemoryDevice;
using hypervisor::VmShape;
using nlohmann::json;

template <typename Value>
void put_if_there(json& j, const char* name, const std::optional<Value>& value) {
  if (value) j[name] = *value;
}

template <typename Value>
void get_if_there(const json& j, const char* name, std::optional<Value>& value) {
  if (j.contains(name)) value = j[name].get<Value>();
}

}  // namespace

json demand_json(const Demand& demand) {
  json j = json::object();
  put_if_there(j, "memory_mib", demand.memory_mib);
  put_if_there(j, "quota_us", demand.quota_us);
  put_if_there(j, "period_us", demand.period_us);
  put_if_there(j, "cpuset", demand.cpuset);
  put_if_there(j, "cpus", demand.cpus);
  put_if_there(j, "mems", demand.mems);
  put_if_there(j, "cpu_shares", demand.cpu_shares);
  put_if_there(j, "processes", demand.processes);
  return j;
}

Demand read_demand(const json& j) {
  Demand demand;
  get_if_there(j, "memory_mib", demand.memory_mib);
  get_if_there(j, "quota_us", demand.quota_us);
  get_if_there(j, "period_us", demand.period_us);
  if (demand.period_us == 0U) demand.period_us.reset();  // nobody writes that, and it is divided by
  get_if_there(j, "cpuset", demand.cpuset);
  get_if_there(j, "cpus", demand.cpus);
  get_if_there(j, "mems", demand.mems);
  get_if_there(j, "cpu_shares", demand.cpu_shares);
  get_if_there(j, "processes", demand.processes);
  return demand;
}

json limits_json(const CgroupLimits& limits) {
  json j = json::object();
  put_if_there(j, "memory_bytes", limits.memory_bytes);
  put_if_there(j, "quota_us", limits.quota_us);
  put_if_there(j, "cpu_shares", limits.cpu_shares);
  put_if_there(j, "cpus", limits.cpus);
  put_if_there(j, "mems", limits.mems);
  put_if_there(j, "processes", limits.processes);
  return j;
}

CgroupLimits read_limits(const json& j) {
  CgroupLimits limits;
  get_if_there(j, "memory_bytes", limits.memory_bytes);
  get_if_there(j, "quota_us", limits.quota_us);
  get_if_there(j, "cpu_shares", limits.cpu_shares);
  get_if_there(j, "cpus", limits.cpus);
  get_if_there(j, "mems", limits.mems);
  get_if_there(j, "processes", limits.processes);
  return limits;
}

json vm_size_json(const VmSize& size) {
  return {{"memory_mib", size.memory_mib}, {"vcpus", size.vcpus}};
}

VmSize read_vm_size(const json& j) {
  return {.memory_mib = j.at("memory_mib").get<std::uint64_t>(),
          .vcpus = j.at("vcpus").get<unsigned>()};
}

json shape_json(const VmShape& shape) {
  json j{{"vcpus", shape.vcpus}, {"max_vcpus", shape.max_vcpus}, {"memory_mib", shape.memory_mib}};
  if (shape.memory_device)
    j["memory_device"] = {{"size_mib", shape.memory_device->size_mib},
                          {"requested_mib", shape.memory_device->requested_mib}};
  return j;
}

VmShape read_shape(const json& j) {
  VmShape shape{.vcpus = j.at("vcpus").get<unsigned>(),
                .max_vcpus = j.at("max_vcpus").get<unsigned>(),
                .memory_mib = j.at("memory_mib").get<std::uint64_t>(),
                .memory_device = {}};
  if (j.contains("memory_device")) {
    const json& device = j["memory_device"];
    shape.memory_device =
        MemoryDevice{.size_mib = device.at("size_mib").get<std::uint64_t>(),
                     .requested_mib = device.at("requested_mib").get<std::uint64_t>()};
  }
  return shape;
}

}  // namespace husk::runtime
