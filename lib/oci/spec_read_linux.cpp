// SPDX-License-Identifier: Apache-2.0
// config.json's "linux" section, without its resources (spec_read_resources.cpp).
#include "lib/oci/json_read.hpp"
#include "lib/oci/spec_read.hpp"

namespace husk::oci {

void read_value(const nlohmann::json& json, const std::string& path, Namespace& ns) {
  const JsonObject object(json, path);
  read_required(object, "type", ns.type);
  read_optional(object, "path", ns.path);
  // Go writes an unset path as "" in some callers: it means a new namespace, as absence does.
  if (ns.path && ns.path->empty()) ns.path.reset();
}

void read_value(const nlohmann::json& json, const std::string& path, Device& device) {
  const JsonObject object(json, path);
  read_required(object, "type", device.type);
  read_required(object, "path", device.path);
  read_optional(object, "major", device.major);
  read_optional(object, "minor", device.minor);
  read_optional(object, "fileMode", device.file_mode);
  read_optional(object, "uid", device.uid);
  read_optional(object, "gid", device.gid);
}

void read_value(const nlohmann::json& json, const std::string& path, SeccompArg& arg) {
  const JsonObject object(json, path);
  read_required(object, "index", arg.index);
  read_required(object, "value", arg.value);
  read_optional(object, "valueTwo", arg.value_two);
  read_required(object, "op", arg.op);
}

void read_value(const nlohmann::json& json, const std::string& path, SeccompRule& rule) {
  const JsonObject object(json, path);
  read_required(object, "names", rule.names);
  read_required(object, "action", rule.action);
  read_optional(object, "errnoRet", rule.errno_ret);
  read_optional(object, "args", rule.args);
}

void read_value(const nlohmann::json& json, const std::string& path, Seccomp& seccomp) {
  const JsonObject object(json, path);
  read_optional(object, "defaultErrnoRet", seccomp.default_errno_ret);
  read_optional(object, "architectures", seccomp.architectures);
  read_optional(object, "flags", seccomp.flags);
  read_optional(object, "listenerPath", seccomp.listener_path);
  read_optional(object, "listenerMetadata", seccomp.listener_metadata);
  read_optional(object, "syscalls", seccomp.syscalls);
  // A section without both is no filter, see below.
  if (object.find("defaultAction") != nullptr || !seccomp.syscalls.empty())
    read_required(object, "defaultAction", seccomp.default_action);
}

void read_value(const nlohmann::json& json, const std::string& path, TimeOffset& offset) {
  const JsonObject object(json, path);
  read_optional(object, "secs", offset.secs);
  read_optional(object, "nanosecs", offset.nanosecs);
}

void read_value(const nlohmann::json& json, const std::string& path, Personality& personality) {
  const JsonObject object(json, path);
  read_required(object, "domain", personality.domain);
  read_optional(object, "flags", personality.flags);
}

void read_value(const nlohmann::json& json, const std::string& path, NetDevice& device) {
  const JsonObject object(json, path);
  read_optional(object, "name", device.name);
}

void read_value(const nlohmann::json& json, const std::string& path, MemoryPolicy& policy) {
  const JsonObject object(json, path);
  read_optional(object, "mode", policy.mode);
  read_optional(object, "nodes", policy.nodes);
  read_optional(object, "flags", policy.flags);
}

void read_value(const nlohmann::json& json, const std::string& path, Linux& linux_section) {
  const JsonObject object(json, path);
  read_optional(object, "namespaces", linux_section.namespaces);
  read_optional(object, "uidMappings", linux_section.uid_mappings);
  read_optional(object, "gidMappings", linux_section.gid_mappings);
  read_optional(object, "timeOffsets", linux_section.time_offsets);
  read_optional(object, "devices", linux_section.devices);
  read_optional(object, "cgroupsPath", linux_section.cgroups_path);
  read_optional(object, "resources", linux_section.resources);
  read_optional(object, "seccomp", linux_section.seccomp);
  // Seccomp is off without a default action and rules (runc: SetupSeccomp).
  const auto& seccomp = linux_section.seccomp;
  if (seccomp && seccomp->default_action.empty() && seccomp->syscalls.empty())
    linux_section.seccomp.reset();
  read_optional(object, "sysctl", linux_section.sysctl);
  read_optional(object, "rootfsPropagation", linux_section.rootfs_propagation);
  read_optional(object, "mountLabel", linux_section.mount_label);
  read_optional(object, "maskedPaths", linux_section.masked_paths);
  read_optional(object, "readonlyPaths", linux_section.readonly_paths);
  read_optional(object, "personality", linux_section.personality);
  read_optional(object, "netDevices", linux_section.net_devices);
  read_optional(object, "memoryPolicy", linux_section.memory_policy);
  linux_section.has_intel_rdt = object.find("intelRdt") != nullptr;
}

}  // namespace husk::oci
