// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/keeper_plan.hpp"

#include <string>

#include "lib/base/mount_namespace.hpp"
#include "lib/runtime/plan/vm_paths.hpp"
#include "lib/runtime/vm/other_mount_namespace.hpp"
#include "lib/systemd/scope.hpp"
#include "lib/systemd/service.hpp"

namespace husk::runtime {
namespace {

/// Whether systemd's mount namespace, in which a service is, has all that the keeper looks at: the VM's directory, and
/// the file by which the keeper knows that the pod is there. CRI-O may have been given a mount namespace of its own.
bool is_shown_to_systemd(const VmPlan& vm) {
  const UniqueFd systemds = other_mount_namespace(1);
  if (!systemds) return true;
  if (!shows_vm_directory_in(VmPaths(vm.id), systemds.get())) return false;
  return !vm.pod || !vm.pod->network ||
         shows_network_in(vm.network_namespace.value(), *vm.pod->network, systemds.get());
}

handoff::LaunchKeeper plan_launch(const VmPlan& vm) {
  if (!systemd::is_running() || !is_shown_to_systemd(vm)) return {};
  const systemd::ServicePlan plan{.name = "husk-keeper-" + vm.id + ".service",
                                  .description = "husk keeper of VM " + vm.id,
                                  .command = {vm.programs.keeper.string(), vm.id}};
  return [plan](int socket) {
    systemd::ServicePlan whole = plan;
    whole.standard_input = socket;
    systemd::start_service(whole);
  };
}

}  // namespace

handoff::KeeperSetup plan_keeper(const VmPlan& vm) {
  const bool has_pod_network = vm.pod && vm.pod->network;
  return {.program = vm.programs.keeper,
          .husk = vm.programs.husk,
          .vm_id = vm.id,
          .record = VmPaths(vm.id).record(),
          .told_network = VmPaths(vm.id).told_network(),
          .config = vm.config_file,
          .fills_pool = vm.fills_pool,
          .pod_network = has_pod_network ? vm.network_namespace.value() : "",
          .own_pod_network = has_pod_network ? VmPaths(vm.id).pod_network() : "",
          .launch = plan_launch(vm)};
}

}  // namespace husk::runtime
