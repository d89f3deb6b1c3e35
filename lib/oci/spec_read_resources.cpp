// SPDX-License-Identifier: Apache-2.0
// config.json's "linux.resources": what a cgroup is told. Also read on its own by `husk update`.
#include "lib/oci/json_read.hpp"
#include "lib/oci/spec_read.hpp"

namespace husk::oci {

void read_value(const nlohmann::json& json, const std::string& path, DeviceRule& rule) {
  const JsonObject object(json, path);
  read_optional(object, "allow", rule.allow);
  read_optional(object, "type", rule.type);
  read_optional(object, "major", rule.major);
  read_optional(object, "minor", rule.minor);
  read_optional(object, "access", rule.access);
}

void read_value(const nlohmann::json& json, const std::string& path, MemoryLimits& memory) {
  const JsonObject object(json, path);
  read_optional(object, "limit", memory.limit);
  read_optional(object, "reservation", memory.reservation);
  read_optional(object, "swap", memory.swap);
  read_optional(object, "kernel", memory.kernel);
  read_optional(object, "kernelTCP", memory.kernel_tcp);
  read_optional(object, "swappiness", memory.swappiness);
  read_optional(object, "disableOOMKiller", memory.disable_oom_killer);
  read_optional(object, "useHierarchy", memory.use_hierarchy);
  read_optional(object, "checkBeforeUpdate", memory.check_before_update);
}

void read_value(const nlohmann::json& json, const std::string& path, CpuLimits& cpu) {
  const JsonObject object(json, path);
  read_optional(object, "shares", cpu.shares);
  read_optional(object, "quota", cpu.quota);
  read_optional(object, "burst", cpu.burst);
  read_optional(object, "period", cpu.period);
  read_optional(object, "realtimeRuntime", cpu.realtime_runtime);
  read_optional(object, "realtimePeriod", cpu.realtime_period);
  read_optional(object, "idle", cpu.idle);
  read_optional(object, "cpus", cpu.cpus);
  read_optional(object, "mems", cpu.mems);
}

void read_value(const nlohmann::json& json, const std::string& path, WeightDevice& device) {
  const JsonObject object(json, path);
  read_required(object, "major", device.major);
  read_required(object, "minor", device.minor);
  read_optional(object, "weight", device.weight);
  read_optional(object, "leafWeight", device.leaf_weight);
}

void read_value(const nlohmann::json& json, const std::string& path, ThrottleDevice& device) {
  const JsonObject object(json, path);
  read_required(object, "major", device.major);
  read_required(object, "minor", device.minor);
  read_required(object, "rate", device.rate);
}

void read_value(const nlohmann::json& json, const std::string& path, BlockIo& block_io) {
  const JsonObject object(json, path);
  read_optional(object, "weight", block_io.weight);
  read_optional(object, "leafWeight", block_io.leaf_weight);
  read_optional(object, "weightDevice", block_io.weight_device);
  read_optional(object, "throttleReadBpsDevice", block_io.throttle_read_bps_device);
  read_optional(object, "throttleWriteBpsDevice", block_io.throttle_write_bps_device);
  read_optional(object, "throttleReadIOPSDevice", block_io.throttle_read_iops_device);
  read_optional(object, "throttleWriteIOPSDevice", block_io.throttle_write_iops_device);
}

void read_value(const nlohmann::json& json, const std::string& path, HugepageLimit& limit) {
  const JsonObject object(json, path);
  read_required(object, "pageSize", limit.page_size);
  read_required(object, "limit", limit.limit);
}

namespace {

bool has_content(const JsonObject& object, const char* key) {
  const auto* value = object.find(key);
  return value != nullptr && !JsonObject(*value, object.path_of(key)).json.empty();
}

void read_pids(const JsonObject& resources, std::optional<std::int64_t>& limit) {
  if (const auto* pids = resources.find("pids"))
    read_optional(JsonObject(*pids, resources.path_of("pids")), "limit", limit);
}

}  // namespace

void read_value(const nlohmann::json& json, const std::string& path, Resources& resources) {
  const JsonObject object(json, path);
  read_optional(object, "devices", resources.devices);
  read_optional(object, "memory", resources.memory);
  read_optional(object, "cpu", resources.cpu);
  read_pids(object, resources.pids_limit);
  read_optional(object, "blockIO", resources.block_io);
  read_optional(object, "hugepageLimits", resources.hugepage_limits);
  read_optional(object, "unified", resources.unified);
  resources.has_rdma = has_content(object, "rdma");
  resources.has_network = has_content(object, "network");
}

}  // namespace husk::oci
