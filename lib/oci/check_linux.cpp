// SPDX-License-Identifier: Apache-2.0
// The "linux" section. Where the texts differ from runc's, it is to name the field.
#include <set>

#include "lib/oci/check.hpp"
#include "lib/oci/check_parts.hpp"
#include "lib/oci/sysctl_name.hpp"

namespace husk::oci {
namespace {

using NamespaceTypes = std::set<std::string>;

/// Containers of one VM can have these in common.
constexpr std::string_view shareable_namespaces[] = {"network", "ipc", "uts", "pid"};

// Every namespace the specification knows is read; what the guest does not have is refused, not
// skipped, since a container without its user namespace would have more rights than asked for. An
// empty time namespace changes nothing a container can see, and Docker asks for one by default.
NamespaceTypes check_namespaces(const std::vector<Namespace>& namespaces) {
  NamespaceTypes types;
  for (std::size_t i = 0; i < namespaces.size(); ++i) {
    const auto& ns = namespaces[i];
    const std::string field = indexed("linux.namespaces", i);
    if (!is_one_of(ns.type, supported_namespaces) && ns.type != "time" && ns.type != "user")
      refuse(field + ".type", "unknown namespace type " + quote(ns.type));
    if (!types.insert(ns.type).second) refuse(field + ".type", ns.type + " is given twice");
    if (!ns.path) continue;
    check_absolute(*ns.path, field + ".path");
    if (!is_one_of(ns.type, shareable_namespaces))
      refuse_unsupported(field, "joining the " + ns.type + " namespace " + quote(*ns.path) + " is");
  }
  return types;
}

void check_namespace_users(const Spec& spec, const NamespaceTypes& types) {
  const auto& section = spec.linux_;
  if ((!section.uid_mappings.empty() || !section.gid_mappings.empty()) && !types.contains("user"))
    refuse("linux.uidMappings, linux.gidMappings", "need a user namespace");
  if (!section.time_offsets.empty() && !types.contains("time"))
    refuse("linux.timeOffsets", "needs a time namespace");
  if (spec.hostname && !spec.hostname->empty() && !types.contains("uts"))
    refuse("hostname", "needs a uts namespace");
  if (spec.domainname && !spec.domainname->empty() && !types.contains("uts"))
    refuse("domainname", "needs a uts namespace");
  if (!types.contains("mount") &&
      (!section.masked_paths.empty() || !section.readonly_paths.empty()))
    refuse("linux.maskedPaths, linux.readonlyPaths", "need a mount namespace");
}

void check_supported(const Linux& section, const NamespaceTypes& types) {
  if (types.contains("user")) refuse_unsupported("linux.namespaces", "a user namespace is");
  if (!section.time_offsets.empty()) refuse_unsupported("linux.timeOffsets", "offsets are");
  if (section.has_intel_rdt) refuse_unsupported("linux.intelRdt", "cache allocation is");
  if (!section.net_devices.empty())
    refuse_unsupported("linux.netDevices", "moving network devices is");
  if (section.memory_policy.value_or(MemoryPolicy{}) != MemoryPolicy{})
    refuse_unsupported("linux.memoryPolicy", "a NUMA policy is");
}

void check_device(const Device& device, const std::string& field) {
  if (device.type != "c" && device.type != "b" && device.type != "u" && device.type != "p")
    refuse(field + ".type", "unknown device type " + quote(device.type));
  check_absolute(device.path, field + ".path");
  if (device.type != "p" && (!device.major || !device.minor))
    refuse(field, quote(device.path) + " has no major and minor number");
  constexpr std::int64_t max_major = 0xfff, max_minor = 0xfffff;  // kdev_t.h: 12 and 20 bits
  if (device.major.value_or(0) < 0 || device.major.value_or(0) > max_major ||
      device.minor.value_or(0) < 0 || device.minor.value_or(0) > max_minor)
    refuse(field, quote(device.path) + " has a device number out of range");
  // Callers copy st_mode, file type and all.
  if (device.file_mode.value_or(0) > 0177777)
    refuse(field + ".fileMode", std::to_string(*device.file_mode) + " is not a file mode");
}

void check_device_rule(const DeviceRule& rule, const std::string& field) {
  if (rule.type && !rule.type->empty() && *rule.type != "a" && *rule.type != "b" &&
      *rule.type != "c")
    refuse(field + ".type", "unknown device type " + quote(*rule.type));
  if (rule.access && rule.access->find_first_not_of("rwm") != std::string::npos)
    refuse(field + ".access", quote(*rule.access) + " has letters other than r, w and m");
}

void check_rule(const SeccompRule& rule, const std::string& field) {
  if (rule.names.empty()) refuse(field + ".names", "must not be empty");
  check_known(rule.action, seccomp_actions, field + ".action");
  for (const auto& arg : rule.args) {
    check_known(arg.op, seccomp_operators, field + ".args.op");
    if (arg.index > 5) refuse(field + ".args.index", std::to_string(arg.index) + " is above 5");
  }
}

// A supervisor on the host cannot look into the memory of a process in the guest.
void check_no_supervisor(const Seccomp& seccomp) {
  bool notify = seccomp.default_action == "SCMP_ACT_NOTIFY" || !seccomp.listener_path.empty();
  for (const auto& rule : seccomp.syscalls) notify |= rule.action == "SCMP_ACT_NOTIFY";
  if (notify) refuse_unsupported("linux.seccomp", "SCMP_ACT_NOTIFY is");
}

void check_seccomp(const Seccomp& seccomp) {
  check_no_supervisor(seccomp);
  check_known(seccomp.default_action, seccomp_actions, "linux.seccomp.defaultAction");
  for (const auto& architecture : seccomp.architectures) {
    const bool is_known = is_one_of(architecture, seccomp_architectures);
    if (!is_known && architecture.starts_with("SCMP_ARCH_"))
      refuse_unsupported("linux.seccomp.architectures", quote(architecture) + " is");
    check_known(architecture, seccomp_architectures, "linux.seccomp.architectures");
  }
  for (const auto& flag : seccomp.flags)
    if (!is_one_of(flag, seccomp_flags))
      refuse_unsupported("linux.seccomp.flags", quote(flag) + " is");
  for (std::size_t i = 0; i < seccomp.syscalls.size(); ++i)
    check_rule(seccomp.syscalls[i], indexed("linux.seccomp.syscalls", i));
}

// runc:libcontainer/configs/validate: what a namespace holds may be set, what belongs to the kernel
// may not. The kernel is the container's own here, but other containers of its pod share it.
void check_sysctl(const std::string& key, const NamespaceTypes& types) {
  static constexpr std::string_view ipc_keys[] = {
      "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
      "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced"};
  const auto need = [&](const char* type) {
    if (!types.contains(type))
      refuse("linux.sysctl",
             quote(key) + " needs " + (type[0] == 'i' ? "an " : "a ") + type + " namespace");
  };
  const auto path = parse_sysctl_name(key);
  if (!path) refuse("linux.sysctl", quote(key) + " is not the name of a sysctl");
  if (is_one_of(*path, ipc_keys) || path->starts_with("fs/mqueue/")) return need("ipc");
  if (path->starts_with("net/")) return need("network");
  if (*path == "kernel/domainname") return need("uts");
  if (*path == "kernel/hostname")
    refuse("linux.sysctl", quote(key) + " is not allowed, set hostname instead");
  refuse("linux.sysctl", quote(key) + " is not in a namespace of its own");
}

void check_paths(const std::vector<std::string>& paths, const char* field) {
  for (std::size_t i = 0; i < paths.size(); ++i) check_absolute(paths[i], indexed(field, i));
}

}  // namespace

void check_resources(const Resources& resources) {
  for (std::size_t i = 0; i < resources.devices.size(); ++i)
    check_device_rule(resources.devices[i], indexed("linux.resources.devices", i));
  for (const auto& [file, value] : resources.unified)
    if (file.empty() || file.find('/') != std::string::npos || file.front() == '.')
      refuse("linux.resources.unified", quote(file) + " is not the name of a cgroup file");
}

void check_linux(const Spec& spec) {
  const auto& section = spec.linux_;
  const NamespaceTypes types = check_namespaces(section.namespaces);
  check_namespace_users(spec, types);
  check_supported(section, types);
  for (std::size_t i = 0; i < section.devices.size(); ++i)
    check_device(section.devices[i], indexed("linux.devices", i));
  if (section.resources) check_resources(*section.resources);
  if (section.seccomp) check_seccomp(*section.seccomp);
  for (const auto& [key, value] : section.sysctl) check_sysctl(key, types);
  check_paths(section.masked_paths, "linux.maskedPaths");
  check_paths(section.readonly_paths, "linux.readonlyPaths");
  if (section.rootfs_propagation && !section.rootfs_propagation->empty())
    check_known(*section.rootfs_propagation, propagation_names, "linux.rootfsPropagation");
  if (section.personality) {
    check_known(section.personality->domain, personality_domains, "linux.personality.domain");
    if (!section.personality->flags.empty())
      refuse_unsupported("linux.personality.flags", "flags are");
  }
}

}  // namespace husk::oci
