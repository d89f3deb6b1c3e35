// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/namespaces.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <unistd.h>

#include <map>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::agent {
namespace {

void write_map(pid_t pid, const char* name, const std::vector<oci::IdMapping>& mappings) {
  std::string map;
  for (const oci::IdMapping& mapping : mappings) {
    map += std::to_string(mapping.container_id) + " " + std::to_string(mapping.host_id) + " " +
           std::to_string(mapping.size) + "\n";
  }
  write_existing("/proc/" + std::to_string(pid) + "/" + name, map);
}

}  // namespace

std::uint64_t clone_flags(const oci::Spec& spec) {
  static const std::map<std::string_view, std::uint64_t> flags{
      {"pid", CLONE_NEWPID},  {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"user", CLONE_NEWUSER},
      {"mount", CLONE_NEWNS}, {"cgroup", 0},         {"time", 0},           {"network", 0}};
  std::uint64_t wanted = CLONE_NEWNS;
  for (const oci::Namespace& one : spec.linux_.namespaces) {
    const auto found = flags.find(one.type);
    if (found == flags.end()) {
      throw Error(Errc::invalid_argument, "linux.namespaces: unknown type " + one.type);
    }
    if (one.path && !one.path->empty() && one.type != "network") {
      throw Error(Errc::unsupported, "linux.namespaces: joining the " + one.type +
                                         " namespace at " + *one.path + " is not supported");
    }
    wanted |= found->second;
  }
  return wanted;
}

std::uint64_t clone_flags_of_first(const oci::Spec& spec) {
  return clone_flags(spec) & ~std::uint64_t{CLONE_NEWNS};
}

void apply_id_mappings(pid_t pid, const oci::Spec& spec) {
  if (!has_namespace(spec, "user")) return;
  write_map(pid, "uid_map", spec.linux_.uid_mappings);
  write_map(pid, "gid_map", spec.linux_.gid_mappings);
}

std::uint32_t map_id(const std::vector<oci::IdMapping>& mappings, std::uint32_t id) {
  for (const oci::IdMapping& mapping : mappings) {
    if (id >= mapping.container_id && id - mapping.container_id < mapping.size) {
      return mapping.host_id + (id - mapping.container_id);
    }
  }
  return id;
}

void apply_mount_namespace() { check_sys(::unshare(CLONE_NEWNS), "new mount namespace"); }

void apply_cgroup_namespace() { check_sys(::unshare(CLONE_NEWCGROUP), "new cgroup namespace"); }

void apply_time_namespace(const oci::Spec& spec) {
  if (!has_namespace(spec, "time")) return;
  check_sys(::unshare(CLONE_NEWTIME), "new time namespace");
  for (const auto& [clock, offset] : spec.linux_.time_offsets) {
    write_existing("/proc/self/timens_offsets", clock + " " + std::to_string(offset.secs) + " " +
                                                    std::to_string(offset.nanosecs));
  }
  // unshare only prepares it for children; offsets are fixed from the first process in it on.
  const UniqueFd prepared{check_sys(::open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC),
                                    "open time namespace")};
  check_sys(::setns(prepared.get(), CLONE_NEWTIME), "enter time namespace");
}

void apply_host_name(const oci::Spec& spec) {
  if (spec.hostname && !spec.hostname->empty()) {
    check_sys(::sethostname(spec.hostname->data(), spec.hostname->size()), "set hostname");
  }
  if (spec.domainname && !spec.domainname->empty()) {
    check_sys(::setdomainname(spec.domainname->data(), spec.domainname->size()), "set domainname");
  }
}

}  // namespace husk::agent
