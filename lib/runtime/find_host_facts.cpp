// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/find_host_facts.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "lib/base/mountinfo.hpp"
#include "lib/base/random_id.hpp"
#include "lib/base/time.hpp"
#include "lib/guestcomm/link/guest_address.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/host_tsc.hpp"
#include "lib/hypervisor/vm_id.hpp"
#include "lib/runtime/caller/terminal.hpp"
#include "lib/runtime/host/cgroup_limit.hpp"
#include "lib/runtime/host/cloud_hypervisor.hpp"
#include "lib/runtime/host/guest_kernel.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/host/host_size.hpp"
#include "lib/runtime/host/host_sysctls.hpp"
#include "lib/runtime/host/install_paths.hpp"
#include "lib/runtime/host/open_files.hpp"
#include "lib/runtime/host/remote_files.hpp"
#include "lib/runtime/host/virtiofsd.hpp"
#include "lib/runtime/plan/bind_options.hpp"
#include "lib/runtime/plan/choose_vm.hpp"
#include "lib/runtime/plan/overlay_options.hpp"
#include "lib/runtime/plan/shim_plan.hpp"
#include "lib/runtime/vm/container_network.hpp"
#include "lib/runtime/vm/find_namespaces.hpp"
#include "lib/runtime/vm/find_shared_tmpfs.hpp"
#include "lib/runtime/vm/vm_record.hpp"
#include "lib/systemd/scope.hpp"

namespace husk::runtime {
namespace {

std::string find_owner() {
  std::string uid = std::to_string(::getuid());
  // getpwuid() loads the name services, which costs more than the whole command.
  std::ifstream passwd("/etc/passwd");
  for (std::string line; std::getline(passwd, line);) {
    const std::size_t name = line.find(':'), password = line.find(':', name + 1);
    if (line.compare(password + 1, uid.size() + 1, uid + ":") == 0) return line.substr(0, name);
  }
  return uid;
}

PodPlace find_place(const PodFacts& pod, const HostFacts& facts, const StateStore& store) {
  PodPlace place{.root = store.root(), .vm = facts.joined_vm};
  if (facts.network && !facts.network->path.empty()) place.network = facts.network->id;
  place.has_sandbox = !pod.is_sandbox && store.exists(pod.sandbox);
  if (place.vm.empty()) {
    place.pod_vm = find_vm_of_pod(place.root, pod.sandbox);
    return place;
  }
  const VmRecord vm = load_vm(place.vm);
  place.vm_pod = vm.pod;
  for (const VmMember& member : vm.members) place.vm_members.push_back(member.id);
  return place;
}

/// The memory that the cgroups above the container's leave to it.
std::optional<std::uint64_t> find_cgroup_memory_mib(const CreateRequest& request,
                                                    const oci::Spec& spec) {
  const CgroupPlan cgroup =
      plan_cgroup(spec.linux_.cgroups_path, {.container = request.id, .vm = {}},
                  request.systemd_cgroup, spec.annotations);
  const auto bytes = memory_limit(std::filesystem::path(cgroup.path).parent_path());
  return bytes ? std::optional(*bytes >> 20U) : std::nullopt;
}

/// By the mount table, before anything of the container is opened.
bool find_remote_files(const CreateRequest& request, const oci::Spec& spec) {
  const std::vector<MountEntry> table = load_mount_table();
  const auto is_remote = [&](const std::filesystem::path& path, bool recursive) {
    return has_remote_files(table, (request.bundle / path).lexically_normal(), recursive);
  };
  if (spec.root && is_remote(spec.root->path, true)) return true;
  return std::ranges::any_of(spec.mounts, [&](const oci::Mount& mount) {
    if (!is_bind(mount)) {
      const std::vector<std::filesystem::path> layers = overlay_directories(mount);
      return std::ranges::any_of(layers, [&](const auto& one) { return is_remote(one, false); });
    }
    if (!mount.source) return false;
    const PinnedMount bind = plan_bind(0, {}, mount.options);
    return bind.follow_host || is_remote(*mount.source, bind.recursive);
  });
}

hypervisor::Accelerator accelerator_of(const Config& config) {
  return config.accelerator ? *config.accelerator : hypervisor::detect_accelerator();
}

/// What only a new VM needs.
void find_facts_of_new_vm(HostFacts& facts, const Config& config, bool with_clock_rate) {
  // Measuring takes 5 ms: done for a VM that needs the figure only.
  if (with_clock_rate && facts.accelerator == hypervisor::Accelerator::tcg)
    facts.tsc_khz = hypervisor::measure_tsc_khz();
  const hypervisor::Driver& driver = hypervisor::driver_for(config.uri);
  facts.vm_user = driver.find_user();
  if (driver.has_go_between) {
    facts.cloud_hypervisor = find_cloud_hypervisor(config.cloud_hypervisor);
    identify_cloud_hypervisor(facts.cloud_hypervisor);
  }
  facts.has_vhost_vsock = guestcomm::has_vhost_vsock();
  facts.virtiofsd = find_virtiofsd(config.virtiofsd);
  // A kernel of the administrator's may be any.
  if (config.modules || !config.kernel)
    facts.kernel_release =
        find_kernel_release(config.modules.value_or(find_install_paths().modules));
  facts.max_open_files = open_files_limit();
  facts.sysctls = load_host_sysctls();
}

}  // namespace

HostFacts find_spare_facts(const Config& config, bool with_clock_rate) {
  HostFacts facts;
  facts.accelerator = accelerator_of(config);
  facts.memory_mib = find_memory_mib();
  facts.cpus = find_cpus();
  facts.has_systemd = systemd::is_running();
  facts.vm_id = hypervisor::new_vm_id();
  facts.secret = random_hex(16);
  find_facts_of_new_vm(facts, config, with_clock_rate);
  return facts;
}

HostFacts find_host_facts(const Config& config, const CreateRequest& request, const oci::Spec& spec,
                          const std::optional<PodFacts>& pod, const StateStore& store) {
  const std::optional<std::filesystem::path> network = plan_host_namespaces(spec).network;
  HostFacts facts{.accelerator = accelerator_of(config),
                  .vm_user = {},
                  .virtiofsd = {},
                  .kernel_release = {},
                  .memory_mib = find_memory_mib(),
                  .cpus = find_cpus(),
                  .sysctls = {},
                  .has_systemd = systemd::is_running(),
                  .pid_file_place = request.pid_file ? find_pid_file_place(*request.pid_file)
                                                     : PidFilePlace::good,
                  .network = network ? std::optional(find_network_facts(*network)) : std::nullopt,
                  .namespaces = find_namespaces(spec),
                  .shared_tmpfs = {},
                  .joined_vm = {},
                  .pod = pod,
                  .place = {},
                  .cgroup_memory_mib = find_cgroup_memory_mib(request, spec),
                  .window = find_caller_window(),
                  .owner = find_owner(),
                  .now = rfc3339_now(),
                  .vm_id = hypervisor::new_vm_id(),
                  .secret = random_hex(16)};
  facts.joined_vm = choose_vm(facts.network, facts.namespaces);
  facts.shared_tmpfs = find_shared_tmpfs(
      spec, is_joining(facts) ? load_vm(facts.joined_vm).guest_tmpfs : std::vector<std::string>());
  if (pod) facts.place = find_place(*pod, facts, store);
  if (is_joining(facts)) return facts;
  find_facts_of_new_vm(facts, config, true);
  facts.has_remote_files = find_remote_files(request, spec);
  return facts;
}

}  // namespace husk::runtime
