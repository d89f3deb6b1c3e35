// SPDX-License-Identifier: Apache-2.0
// The mirror of spec_read_linux.cpp and spec_read_resources.cpp.
#include "lib/oci/json_write.hpp"

namespace husk::oci {

void to_json(nlohmann::json& json, const Namespace& ns) {
  json = {{"type", ns.type}};
  put(json, "path", ns.path);
}

void to_json(nlohmann::json& json, const Device& device) {
  json = {{"type", device.type}, {"path", device.path}};
  put(json, "major", device.major);
  put(json, "minor", device.minor);
  put(json, "fileMode", device.file_mode);
  put(json, "uid", device.uid);
  put(json, "gid", device.gid);
}

void to_json(nlohmann::json& json, const DeviceRule& rule) {
  json = {{"allow", rule.allow}};
  put(json, "type", rule.type);
  put(json, "major", rule.major);
  put(json, "minor", rule.minor);
  put(json, "access", rule.access);
}

void to_json(nlohmann::json& json, const MemoryLimits& memory) {
  json = nlohmann::json::object();
  put(json, "limit", memory.limit);
  put(json, "reservation", memory.reservation);
  put(json, "swap", memory.swap);
  put(json, "kernel", memory.kernel);
  put(json, "kernelTCP", memory.kernel_tcp);
  put(json, "swappiness", memory.swappiness);
  put(json, "disableOOMKiller", memory.disable_oom_killer);
  put(json, "useHierarchy", memory.use_hierarchy);
  put(json, "checkBeforeUpdate", memory.check_before_update);
}

void to_json(nlohmann::json& json, const CpuLimits& cpu) {
  json = nlohmann::json::object();
  put(json, "shares", cpu.shares);
  put(json, "quota", cpu.quota);
  put(json, "burst", cpu.burst);
  put(json, "period", cpu.period);
  put(json, "realtimeRuntime", cpu.realtime_runtime);
  put(json, "realtimePeriod", cpu.realtime_period);
  put(json, "idle", cpu.idle);
  put(json, "cpus", cpu.cpus);
  put(json, "mems", cpu.mems);
}

void to_json(nlohmann::json& json, const WeightDevice& device) {
  json = {{"major", device.major}, {"minor", device.minor}};
  put(json, "weight", device.weight);
  put(json, "leafWeight", device.leaf_weight);
}

void to_json(nlohmann::json& json, const ThrottleDevice& device) {
  json = {{"major", device.major}, {"minor", device.minor}, {"rate", device.rate}};
}

void to_json(nlohmann::json& json, const BlockIo& block_io) {
  json = nlohmann::json::object();
  put(json, "weight", block_io.weight);
  put(json, "leafWeight", block_io.leaf_weight);
  put(json, "weightDevice", block_io.weight_device);
  put(json, "throttleReadBpsDevice", block_io.throttle_read_bps_device);
  put(json, "throttleWriteBpsDevice", block_io.throttle_write_bps_device);
  put(json, "throttleReadIOPSDevice", block_io.throttle_read_iops_device);
  put(json, "throttleWriteIOPSDevice", block_io.throttle_write_iops_device);
}

void to_json(nlohmann::json& json, const HugepageLimit& limit) {
  json = {{"pageSize", limit.page_size}, {"limit", limit.limit}};
}

void to_json(nlohmann::json& json, const Resources& resources) {
  json = nlohmann::json::object();
  put(json, "devices", resources.devices);
  put(json, "memory", resources.memory);
  put(json, "cpu", resources.cpu);
  if (resources.pids_limit) json["pids"] = {{"limit", *resources.pids_limit}};
  put(json, "blockIO", resources.block_io);
  put(json, "hugepageLimits", resources.hugepage_limits);
  put(json, "unified", resources.unified);
  // All that is known is that they were there: writes the emptiest value that is not empty.
  if (resources.has_rdma) json["rdma"] = {{"", nlohmann::json::object()}};
  if (resources.has_network) json["network"] = {{"priorities", nlohmann::json::array()}};
}

void to_json(nlohmann::json& json, const SeccompArg& arg) {
  json = {{"index", arg.index}, {"value", arg.value}, {"op", arg.op}};
  put(json, "valueTwo", arg.value_two);
}

void to_json(nlohmann::json& json, const SeccompRule& rule) {
  json = {{"names", rule.names}, {"action", rule.action}};
  put(json, "errnoRet", rule.errno_ret);
  put(json, "args", rule.args);
}

void to_json(nlohmann::json& json, const Seccomp& seccomp) {
  json = {{"defaultAction", seccomp.default_action}};
  put(json, "defaultErrnoRet", seccomp.default_errno_ret);
  put(json, "architectures", seccomp.architectures);
  put(json, "flags", seccomp.flags);
  put(json, "listenerPath", seccomp.listener_path);
  put(json, "listenerMetadata", seccomp.listener_metadata);
  put(json, "syscalls", seccomp.syscalls);
}

void to_json(nlohmann::json& json, const TimeOffset& offset) {
  json = {{"secs", offset.secs}, {"nanosecs", offset.nanosecs}};
}

void to_json(nlohmann::json& json, const Personality& personality) {
  json = {{"domain", personality.domain}};
  put(json, "flags", personality.flags);
}

void to_json(nlohmann::json& json, const NetDevice& device) {
  json = nlohmann::json::object();
  put(json, "name", device.name);
}

void to_json(nlohmann::json& json, const MemoryPolicy& policy) {
  json = nlohmann::json::object();
  put(json, "mode", policy.mode);
  put(json, "nodes", policy.nodes);
  put(json, "flags", policy.flags);
}

void to_json(nlohmann::json& json, const Linux& linux_section) {
  json = nlohmann::json::object();
  put(json, "namespaces", linux_section.namespaces);
  put(json, "uidMappings", linux_section.uid_mappings);
  put(json, "gidMappings", linux_section.gid_mappings);
  put(json, "timeOffsets", linux_section.time_offsets);
  put(json, "devices", linux_section.devices);
  put(json, "cgroupsPath", linux_section.cgroups_path);
  put(json, "resources", linux_section.resources);
  put(json, "seccomp", linux_section.seccomp);
  put(json, "sysctl", linux_section.sysctl);
  put(json, "rootfsPropagation", linux_section.rootfs_propagation);
  put(json, "mountLabel", linux_section.mount_label);
  put(json, "maskedPaths", linux_section.masked_paths);
  put(json, "readonlyPaths", linux_section.readonly_paths);
  put(json, "personality", linux_section.personality);
  put(json, "netDevices", linux_section.net_devices);
  put(json, "memoryPolicy", linux_section.memory_policy);
  if (linux_section.has_intel_rdt) json["intelRdt"] = nlohmann::json::object();
}

}  // namespace husk::oci
