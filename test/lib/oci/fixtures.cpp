// SPDX-License-Identifier: Apache-2.0
#include "test/lib/oci/fixtures.hpp"

#include <cstdlib>

#include <catch2/catch_test_macros.hpp>

#include "lib/base/files.hpp"

namespace husk::oci::test {
namespace {

Process full_process() {
  Process process;
  process.terminal = true;
  process.console_size = ConsoleSize{.height = 24, .width = 80};
  process.user = {.uid = 1000, .gid = 4294967295, .umask = 18, .additional_gids = {10, 20}};
  process.args = {"sh", "-c", ""};
  process.env = {"PATH=/bin", "EMPTY="};
  process.cwd = "/work";
  process.capabilities = Capabilities{.bounding = {"CAP_CHOWN"},
                                      .effective = {"CAP_KILL"},
                                      .permitted = {"CAP_MKNOD", "CAP_UNHEARD_OF"},
                                      .inheritable = {"CAP_LEASE"},
                                      .ambient = {"CAP_BPF"}};
  process.rlimits = {{.type = "RLIMIT_CORE", .soft = 0, .hard = 18446744073709551615u}};
  process.no_new_privileges = true;
  process.apparmor_profile = "docker-default";
  process.selinux_label = "system_u";
  process.oom_score_adj = -1000;
  process.io_priority = IoPriority{.io_class = "IOPRIO_CLASS_BE", .priority = 7};
  process.scheduler = Scheduler{.policy = "SCHED_DEADLINE",
                                .nice = -20,
                                .priority = 1,
                                .flags = {"SCHED_FLAG_RECLAIM"},
                                .runtime = 1,
                                .deadline = 2,
                                .period = 3};
  process.exec_cpu_affinity = CpuAffinity{.initial = "0-1", .final_cpus = "1"};
  return process;
}

Hooks full_hooks() {
  const Hook hook{.path = "/bin/hook",
                  .args = {"hook", "a"},
                  .env = std::vector<std::string>{"A=b"},
                  .timeout = 5};
  const Hook bare{.path = "/bin/bare", .args = {}, .env = {}, .timeout = {}};
  return {.prestart = {hook},
          .create_runtime = {hook, bare},
          .create_container = {bare},
          .start_container = {hook},
          .poststart = {bare},
          .poststop = {hook}};
}

BlockIo full_block_io() {
  const ThrottleDevice throttle{.major = 8, .minor = 16, .rate = 18446744073709551615u};
  BlockIo block_io;
  block_io.weight = 10;
  block_io.leaf_weight = 1000;
  block_io.weight_device = {{.major = 8, .minor = 0, .weight = 500, .leaf_weight = {}}};
  block_io.throttle_read_bps_device = {throttle};
  block_io.throttle_write_bps_device = {throttle, throttle};
  block_io.throttle_read_iops_device = {throttle};
  block_io.throttle_write_iops_device = {throttle};
  return block_io;
}

Resources full_resources() {
  Resources resources;
  resources.devices = {{.allow = false, .type = {}, .major = {}, .minor = {}, .access = "rwm"},
                       {.allow = true, .type = "c", .major = 1, .minor = -1, .access = "r"}};
  resources.memory = MemoryLimits{.limit = 1 << 30,
                                  .reservation = 0,
                                  .swap = -1,
                                  .kernel = -1,
                                  .kernel_tcp = 5,
                                  .swappiness = 60,
                                  .disable_oom_killer = false,
                                  .use_hierarchy = true,
                                  .check_before_update = true};
  resources.cpu = CpuLimits{.shares = 1024,
                            .period = 100000,
                            .realtime_period = 1,
                            .burst = 2,
                            .quota = -1,
                            .realtime_runtime = 3,
                            .idle = 1,
                            .cpus = "0-3",
                            .mems = "0"};
  resources.pids_limit = -1;
  resources.block_io = full_block_io();
  resources.hugepage_limits = {{.page_size = "2MB", .limit = 9223372036854772000}};
  resources.unified = {{"memory.high", "max"}};
  resources.has_rdma = true;
  resources.has_network = true;
  return resources;
}

Seccomp full_seccomp() {
  Seccomp seccomp;
  seccomp.default_action = "SCMP_ACT_ERRNO";
  seccomp.default_errno_ret = 0;
  seccomp.architectures = {"SCMP_ARCH_X86_64"};
  seccomp.flags = {"SECCOMP_FILTER_FLAG_LOG"};
  seccomp.listener_path = "/run/listener";
  seccomp.listener_metadata = "who";
  const SeccompArg arg{
      .index = 5, .value = 18446744073709551615u, .value_two = 1, .op = "SCMP_CMP_MASKED_EQ"};
  seccomp.syscalls = {
      {.names = {"clone"}, .action = "SCMP_ACT_ALLOW", .errno_ret = 38, .args = {arg}}};
  return seccomp;
}

Linux full_linux() {
  Linux section;
  section.namespaces = {{.type = "pid", .path = {}}, {.type = "network", .path = "/run/netns/a"}};
  section.uid_mappings = {{.container_id = 0, .host_id = 100000, .size = 65536}};
  section.gid_mappings = {{.container_id = 1, .host_id = 2, .size = 3}};
  section.time_offsets = {{"boottime", {.secs = -5, .nanosecs = 999999999}}};
  section.devices = {{.type = "c",
                      .path = "/dev/fuse",
                      .major = 10,
                      .minor = 229,
                      .file_mode = 438,
                      .uid = 0,
                      .gid = 1}};
  section.cgroups_path = "/docker/abc";
  section.resources = full_resources();
  section.seccomp = full_seccomp();
  section.sysctl = {{"net.ipv4.ip_forward", "1"}};
  section.rootfs_propagation = "rslave";
  section.mount_label = "label";
  section.masked_paths = {"/proc/kcore"};
  section.readonly_paths = {"/proc/sys"};
  section.personality = Personality{.domain = "LINUX32", .flags = {"ADDR_NO_RANDOMIZE"}};
  section.net_devices = {{"eth1", {.name = "eth0"}}};
  section.memory_policy =
      MemoryPolicy{.mode = "MPOL_BIND", .nodes = "0", .flags = {"MPOL_F_STATIC_NODES"}};
  section.has_intel_rdt = true;
  return section;
}

}  // namespace

std::string engine_config(const std::string& name) {
  return read_file(std::filesystem::path(HUSK_TEST_BUNDLES) / name, 1u << 20);
}

Spec full_spec() {
  const IdMapping mapping{.container_id = 0, .host_id = 1, .size = 4294967295};
  Spec spec;
  spec.oci_version = "1.2.0";
  spec.root = Root{.path = "rootfs", .readonly = true};
  spec.mounts = {{.destination = "/data",
                  .type = "bind",
                  .source = "/srv",
                  .options = {"rbind", "ro"},
                  .uid_mappings = {mapping},
                  .gid_mappings = {mapping}}};
  spec.process = full_process();
  spec.hostname = "box";
  spec.domainname = "lan";
  spec.hooks = full_hooks();
  spec.annotations = {{"a.b/c", ""}, {"key", "value \xc3\xa9"}};
  spec.linux_ = full_linux();
  return spec;
}

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "husk-test.XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Failure failure_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return {e.code(), e.what()};
  }
  FAIL("nothing was thrown");
  return {};
}

}  // namespace husk::oci::test
