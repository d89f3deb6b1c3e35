// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/size_json.hpp"

#include <nlohmann/json.hpp>

namespace husk::runtime {
namespace {

using hypervisor::MemoryDevice;
using hypervisor::VmShape;
using nlohmann::json;

}  // namespace

json demand_json(const Demand& demand) {
  json j = json::object();
  if (demand.memory_mib) j["memory_mib"] = *demand.memory_mib;
  if (demand.quota_us) j["quota_us"] = *demand.quota_us;
  if (demand.period_us) j["period_us"] = *demand.period_us;
  if (demand.cpuset) j["cpuset"] = *demand.cpuset;
  return j;
}

Demand read_demand(const json& j) {
  Demand demand;
  if (j.contains("memory_mib")) demand.memory_mib = j["memory_mib"].get<std::uint64_t>();
  if (j.contains("quota_us")) demand.quota_us = j["quota_us"].get<std::uint64_t>();
  if (j.contains("period_us")) demand.period_us = j["period_us"].get<std::uint64_t>();
  if (demand.period_us == 0U) demand.period_us.reset();  // nobody writes that, and it is divided by
  if (j.contains("cpuset")) demand.cpuset = j["cpuset"].get<unsigned>();
  return demand;
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
