// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/new_vm_plan.hpp"

#include "lib/base/error.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/runtime/plan/file_server_plan.hpp"
#include "lib/runtime/plan/network_facts.hpp"
#include "lib/runtime/plan/plan.hpp"
#include "lib/runtime/plan/vm_shape.hpp"

namespace husk::runtime {
namespace {

/// For networks that are connected later, and those beyond the first of a new namespace. Each is one
/// more bridge for the guest to scan (docs/architecture.md).
constexpr unsigned spare_ports = 2;

bool is_within(const VmSize& size, const VmSize& least, const VmSize& most) {
  return least.memory_mib <= size.memory_mib && size.memory_mib <= most.memory_mib &&
         size.vcpus <= most.vcpus;
}

VsockDeviceIs plan_vsock(const hypervisor::Driver& driver, const HostFacts& facts) {
  if (driver.has_own_vsock) return VsockDeviceIs::hypervisor;
  return facts.has_vhost_vsock ? VsockDeviceIs::host_kernel : VsockDeviceIs::program;
}

void check_accelerator(const hypervisor::Driver& driver, const HostFacts& facts) {
  if (driver.needs_kvm && facts.accelerator != hypervisor::Accelerator::kvm)
    throw Error(Errc::unsupported, "hypervisor.uri: " + std::string(driver.called) +
                                       " needs /dev/kvm and a CPU with vmx or svm; use "
                                       "qemu:///system here");
}

}  // namespace

VmPlan plan_vm(const NewVmWish& wish, const Config& config, const InstallPaths& paths,
               const HostFacts& facts) {
  const hypervisor::Driver& driver = hypervisor::driver_for(config.uri);
  check_accelerator(driver, facts);
  hypervisor::VmConfig vm = plan_vm_config(
      wish.title, config, facts, plan_shape(plan_vm_size(wish.sizing), wish.sizing.bounds));
  vm.network_cards = vm_cards(facts.vm_id, plan_cards(facts.network));
  vm.network_ports = spare_ports;
  if (driver.has_go_between)
    vm.go_between =
        hypervisor::GoBetween{.program = paths.ch, .hypervisor = facts.cloud_hypervisor};
  if (wish.pod && wish.pod->network)
    vm.kernel_arguments = stay_argument + (" " + vm.kernel_arguments);
  return VmPlan{.id = facts.vm_id,
                .secret = facts.secret,
                .uri = config.uri,
                .user = facts.vm_user,
                .vsock_device = plan_vsock(driver, facts),
                .files = plan_file_server(
                    facts.virtiofsd,
                    {VmPaths(facts.vm_id).shared(), facts.kernel_release, facts.max_open_files,
                     facts.has_remote_files || wish.pod.has_value()},
                    wish.files),
                .network_namespace =
                    facts.network ? std::optional(facts.network->path.string()) : std::nullopt,
                .pod = wish.pod,
                .assets = {.kernel = config.kernel.value_or(paths.kernel),
                           .initrd = config.initrd.value_or(paths.initrd),
                           .firmware = config.firmware.value_or(driver.firmware),
                           // The installed modules are those of the installed kernel.
                           .modules = config.modules.value_or(config.kernel ? "" : paths.modules)},
                .kernel_settings = {.at_least = facts.sysctls, .exact = config.sysctl},
                .programs = {.keeper = paths.keeper, .husk = paths.program},
                .vm = std::move(vm),
                .pod_demand = wish.sizing.pod,
                .fixed_size = wish.sizing.fixed};
}

VmPlan plan_spare(const Config& config, const InstallPaths& paths, const HostFacts& facts) {
  HostFacts own = facts;
  own.network.reset();
  own.has_remote_files = config.pool.pods;  // served as a pod's
  const Sizing sizing{.demand = Demand{},
                      .bounds = size_bounds(config, facts.memory_mib, facts.cpus)};
  VmPlan plan =
      plan_vm({.title = "spare VM of husk's pool", .files = config.files, .sizing = sizing}, config,
              paths, own);
  plan.vm.kernel_arguments = spare_argument + (" " + plan.vm.kernel_arguments);
  plan.config_file = config.file;
  return plan;
}

bool can_become(const VmPlan& spare, const VmPlan& wanted) {
  // The guest of a pod without a sandbox container boots with another argument.
  if (wanted.pod && wanted.pod->network) return false;
  const VmSize boots_with{.memory_mib = spare.vm.shape.memory_mib, .vcpus = 0};
  return spare.files == wanted.files &&
         is_within(size_of(wanted.vm.shape), boots_with, most_of(spare.vm.shape));
}

}  // namespace husk::runtime
