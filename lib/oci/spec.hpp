// SPDX-License-Identifier: Apache-2.0
// The OCI runtime specification's config.json (v1.2) as plain values. Field names are the JSON's
// own in snake_case; std::optional where absence means something else than the empty value. Reading
// checks shape only (types, required fields); what the values mean is check.hpp's business.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace husk::oci {

struct Root {  // config.md "Root"
  std::string path;
  bool readonly = false;
  friend bool operator==(const Root&, const Root&) = default;
};

struct IdMapping {  // config-linux.md "User namespace mappings"
  std::uint32_t container_id = 0, host_id = 0, size = 0;
  friend bool operator==(const IdMapping&, const IdMapping&) = default;
};

struct Mount {  // config.md "Mounts"
  std::string destination;
  std::optional<std::string> type, source;
  std::vector<std::string> options;
  std::vector<IdMapping> uid_mappings, gid_mappings;
  friend bool operator==(const Mount&, const Mount&) = default;
};
/// By its type or by its options: the host pins the sources of exactly those, and the guest takes
/// exactly those from the share.
bool is_bind(const Mount& mount);
/// A bind or an overlay: the host makes the mount below the share, and the guest binds that.
bool is_made_on_host(const Mount& mount);

struct ConsoleSize {
  std::uint16_t height = 0, width = 0;
  friend bool operator==(const ConsoleSize&, const ConsoleSize&) = default;
};

struct User {  // config.md "POSIX-platform User"
  std::uint32_t uid = 0, gid = 0;
  std::optional<std::uint32_t> umask;
  std::vector<std::uint32_t> additional_gids;
  friend bool operator==(const User&, const User&) = default;
};

struct Capabilities {  // names as "CAP_CHOWN"; unknown names are kept, the agent warns about them
  std::vector<std::string> bounding, effective, permitted, inheritable, ambient;
  friend bool operator==(const Capabilities&, const Capabilities&) = default;
};

struct Rlimit {
  std::string type;  ///< "RLIMIT_NOFILE"
  std::uint64_t soft = 0, hard = 0;
  friend bool operator==(const Rlimit&, const Rlimit&) = default;
};

struct IoPriority {
  std::string io_class;  ///< JSON "class"
  int priority = 0;
  friend bool operator==(const IoPriority&, const IoPriority&) = default;
};

struct Scheduler {
  std::string policy;
  int nice = 0, priority = 0;
  std::vector<std::string> flags;
  std::uint64_t runtime = 0, deadline = 0, period = 0;  ///< nanoseconds
  friend bool operator==(const Scheduler&, const Scheduler&) = default;
};

struct CpuAffinity {  ///< execCPUAffinity
  std::optional<std::string> initial, final_cpus;
  friend bool operator==(const CpuAffinity&, const CpuAffinity&) = default;
};

struct Process {  // config.md "Process"
  bool terminal = false;
  std::optional<ConsoleSize> console_size;
  User user;
  std::vector<std::string> args, env;
  std::string cwd;
  std::optional<Capabilities> capabilities;
  std::vector<Rlimit> rlimits;
  bool no_new_privileges = false;
  std::optional<std::string> apparmor_profile, selinux_label;
  std::optional<int> oom_score_adj;
  std::optional<IoPriority> io_priority;
  std::optional<Scheduler> scheduler;
  std::optional<CpuAffinity> exec_cpu_affinity;
  friend bool operator==(const Process&, const Process&) = default;
};

struct Hook {  // config.md "POSIX-platform Hooks"
  std::string path;
  std::vector<std::string> args;
  /// Empty optional: that of the process which runs it, as runc and crun do.
  std::optional<std::vector<std::string>> env;
  std::optional<int> timeout;  ///< seconds
  friend bool operator==(const Hook&, const Hook&) = default;
};

struct Hooks {
  std::vector<Hook> prestart, create_runtime, create_container, start_container, poststart,
      poststop;
  friend bool operator==(const Hooks&, const Hooks&) = default;
};

struct Namespace {   // config-linux.md "Namespaces"
  std::string type;  ///< "pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"
  std::optional<std::string> path;
  friend bool operator==(const Namespace&, const Namespace&) = default;
};

struct Device {  // config-linux.md "Devices"
  std::string type, path;
  std::optional<std::int64_t> major, minor;
  std::optional<std::uint32_t> file_mode, uid, gid;
  friend bool operator==(const Device&, const Device&) = default;
};

struct DeviceRule {  // config-linux.md "Allowed Device list"
  bool allow = false;
  std::optional<std::string> type;
  std::optional<std::int64_t> major, minor;
  std::optional<std::string> access;
  friend bool operator==(const DeviceRule&, const DeviceRule&) = default;
};

struct MemoryLimits {  // bytes; -1 means no limit
  std::optional<std::int64_t> limit, reservation, swap, kernel, kernel_tcp;
  std::optional<std::uint64_t> swappiness;
  std::optional<bool> disable_oom_killer, use_hierarchy, check_before_update;
  friend bool operator==(const MemoryLimits&, const MemoryLimits&) = default;
};

struct CpuLimits {  // periods and runtimes in microseconds
  std::optional<std::uint64_t> shares, period, realtime_period, burst;
  std::optional<std::int64_t> quota, realtime_runtime, idle;
  std::optional<std::string> cpus, mems;
  friend bool operator==(const CpuLimits&, const CpuLimits&) = default;
};

struct WeightDevice {
  std::int64_t major = 0, minor = 0;
  std::optional<std::uint16_t> weight, leaf_weight;
  friend bool operator==(const WeightDevice&, const WeightDevice&) = default;
};

struct ThrottleDevice {
  std::int64_t major = 0, minor = 0;
  std::uint64_t rate = 0;
  friend bool operator==(const ThrottleDevice&, const ThrottleDevice&) = default;
};

struct BlockIo {
  std::optional<std::uint16_t> weight, leaf_weight;
  std::vector<WeightDevice> weight_device;
  std::vector<ThrottleDevice> throttle_read_bps_device, throttle_write_bps_device,
      throttle_read_iops_device, throttle_write_iops_device;
  friend bool operator==(const BlockIo&, const BlockIo&) = default;
};

struct HugepageLimit {
  std::string page_size;
  std::uint64_t limit = 0;
  friend bool operator==(const HugepageLimit&, const HugepageLimit&) = default;
};

struct Resources {  // config-linux.md "Control groups"
  std::vector<DeviceRule> devices;
  std::optional<MemoryLimits> memory;
  std::optional<CpuLimits> cpu;
  std::optional<std::int64_t> pids_limit;
  std::optional<BlockIo> block_io;
  std::vector<HugepageLimit> hugepage_limits;
  std::map<std::string, std::string> unified;
  bool has_rdma = false, has_network = false;  ///< present and not empty in the JSON; not modelled
  friend bool operator==(const Resources&, const Resources&) = default;
};

struct SeccompArg {
  std::uint32_t index = 0;
  std::uint64_t value = 0, value_two = 0;
  std::string op;
  friend bool operator==(const SeccompArg&, const SeccompArg&) = default;
};

struct SeccompRule {
  std::vector<std::string> names;
  std::string action;
  std::optional<std::uint32_t> errno_ret;
  std::vector<SeccompArg> args;
  friend bool operator==(const SeccompRule&, const SeccompRule&) = default;
};

struct Seccomp {  // config-linux.md "Seccomp"
  std::string default_action;
  std::optional<std::uint32_t> default_errno_ret;
  std::vector<std::string> architectures, flags;
  std::string listener_path, listener_metadata;
  std::vector<SeccompRule> syscalls;
  friend bool operator==(const Seccomp&, const Seccomp&) = default;
};

struct TimeOffset {
  std::int64_t secs = 0;
  std::uint32_t nanosecs = 0;
  friend bool operator==(const TimeOffset&, const TimeOffset&) = default;
};

struct Personality {
  std::string domain;
  std::vector<std::string> flags;
  friend bool operator==(const Personality&, const Personality&) = default;
};

struct NetDevice {   ///< of the runtime's network namespace, to be moved into the container's
  std::string name;  ///< in the container; empty: as before
  friend bool operator==(const NetDevice&, const NetDevice&) = default;
};

struct MemoryPolicy {  ///< set_mempolicy(2)
  std::string mode, nodes;
  std::vector<std::string> flags;
  friend bool operator==(const MemoryPolicy&, const MemoryPolicy&) = default;
};

struct Linux {  // config-linux.md
  std::vector<Namespace> namespaces;
  std::vector<IdMapping> uid_mappings, gid_mappings;
  std::map<std::string, TimeOffset> time_offsets;
  std::vector<Device> devices;
  std::string cgroups_path;
  std::optional<Resources> resources;
  std::optional<Seccomp> seccomp;
  std::map<std::string, std::string> sysctl;
  std::optional<std::string> rootfs_propagation, mount_label;
  std::vector<std::string> masked_paths, readonly_paths;
  std::optional<Personality> personality;
  std::map<std::string, NetDevice> net_devices;
  std::optional<MemoryPolicy> memory_policy;
  bool has_intel_rdt = false;  ///< present in the JSON; not modelled
  friend bool operator==(const Linux&, const Linux&) = default;
};

struct Spec {  // config.md
  std::string oci_version;
  std::optional<Root> root;
  std::vector<Mount> mounts;
  std::optional<Process> process;
  std::optional<std::string> hostname, domainname;
  Hooks hooks;
  std::map<std::string, std::string> annotations;
  Linux linux_;
  friend bool operator==(const Spec&, const Spec&) = default;
};

/// Whether linux.namespaces has an entry of that type, with or without a path.
bool has_namespace(const Spec& spec, std::string_view type);

// Both directions; from_json throws Error(invalid_argument) naming the field by its path, e.g.
// "process.user.uid: expected an unsigned number, found a string". Unknown fields are skipped
// (config.md "Extensibility"). to_json leaves out what is absent or empty.
void from_json(const nlohmann::json& json, Spec& spec);
void to_json(nlohmann::json& json, const Spec& spec);
void from_json(const nlohmann::json& json, Process& process);
void to_json(nlohmann::json& json, const Process& process);
void from_json(const nlohmann::json& json, Resources& resources);
void to_json(nlohmann::json& json, const Resources& resources);
void from_json(const nlohmann::json& json, Hooks& hooks);
void to_json(nlohmann::json& json, const Hooks& hooks);

}  // namespace husk::oci
