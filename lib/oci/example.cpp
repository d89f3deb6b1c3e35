// SPDX-License-Identifier: Apache-2.0
// runc:libcontainer/specconv/example.go, field by field: people diff one against the other.
#include "lib/oci/example.hpp"

namespace husk::oci {
namespace {

Process example_process() {
  const std::vector<std::string> capabilities = {"CAP_AUDIT_WRITE", "CAP_KILL",
                                                 "CAP_NET_BIND_SERVICE"};
  Process process;
  process.terminal = true;
  process.args = {"sh"};
  process.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"};
  process.cwd = "/";
  process.no_new_privileges = true;
  process.capabilities = Capabilities{.bounding = capabilities,
                                      .effective = capabilities,
                                      .permitted = capabilities,
                                      .inheritable = {},
                                      .ambient = capabilities};
  process.rlimits = {{.type = "RLIMIT_NOFILE", .soft = 1024, .hard = 1024}};
  return process;
}

Mount mount(const char* destination, const char* type, const char* source,
            std::vector<std::string> options) {
  return {.destination = destination,
          .type = type,
          .source = source,
          .options = std::move(options),
          .uid_mappings = {},
          .gid_mappings = {}};
}

// A user namespace has no group 5 to give terminals to, and may not mount a sysfs of a network
// namespace that is not its own.
std::vector<Mount> example_mounts(bool rootless) {
  std::vector<std::string> devpts = {"nosuid", "noexec", "newinstance", "ptmxmode=0666",
                                     "mode=0620"};
  if (!rootless) devpts.emplace_back("gid=5");
  return {
      mount("/proc", "proc", "proc", {}),
      mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      mount("/dev/pts", "devpts", "devpts", devpts),
      mount("/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}),
      mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      rootless ? mount("/sys", "none", "/sys", {"rbind", "nosuid", "noexec", "nodev", "ro"})
               : mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
      mount("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}),
  };
}

Linux example_linux() {
  Linux section;
  for (const char* type : {"pid", "network", "ipc", "uts", "mount"})
    section.namespaces.push_back({.type = type, .path = {}});
  section.masked_paths = {"/proc/acpi",        "/proc/asound",        "/proc/kcore",
                          "/proc/keys",        "/proc/latency_stats", "/proc/timer_list",
                          "/proc/timer_stats", "/proc/sched_debug",   "/sys/firmware",
                          "/proc/scsi"};
  section.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                            "/proc/sysrq-trigger"};
  DeviceRule deny_all;
  deny_all.access = "rwm";
  section.resources.emplace().devices = {deny_all};
  return section;
}

void make_rootless(Linux& section, unsigned uid, unsigned gid) {
  std::erase_if(section.namespaces, [](const Namespace& ns) { return ns.type == "network"; });
  section.namespaces.push_back({.type = "user", .path = {}});
  section.uid_mappings = {{.container_id = 0, .host_id = uid, .size = 1}};
  section.gid_mappings = {{.container_id = 0, .host_id = gid, .size = 1}};
  section.resources.reset();
}

}  // namespace

Spec example_spec(bool rootless, unsigned uid, unsigned gid) {
  Spec spec;
  spec.oci_version = "1.2.0";
  spec.root = Root{.path = "rootfs", .readonly = true};
  spec.hostname = "husk";
  spec.process = example_process();
  spec.mounts = example_mounts(rootless);
  spec.linux_ = example_linux();
  if (rootless) make_rootless(spec.linux_, uid, gid);
  return spec;
}

}  // namespace husk::oci
