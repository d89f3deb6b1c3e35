// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/end_vm.hpp"

#include <filesystem>

#include "lib/base/detach.hpp"
#include "lib/base/log.hpp"
#include "lib/base/trace.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/vm_process.hpp"
#include "lib/runtime/plan/vm_paths.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

/// Helpers end with the VM; until then they hold the containers' mounts.
bool end_helpers(const VmLeftOvers& vm) {
  const Span span("end its helpers");
  bool gone = true;
  for (const ProcessIdentity& helper : vm.helpers)
    gone = (wait_for_end(helper, 5s) || kill_process(helper, 5s)) && gone;
  return gone;
}

/// Ends the processes by pid first: that works whatever state libvirt is in.
bool end_processes(const std::string& vm_id, const VmLeftOvers& vm,
                   const hypervisor::Driver& driver) {
  if (vm.process) return hypervisor::end_vm_process(*vm.process) && end_helpers(vm);
  // A create that was killed half-way has not written it down.
  const auto process = hypervisor::find_vm_process(driver, vm.name, VmPaths(vm_id).directory);
  return process && hypervisor::end_vm_process(*process);
}

/// Runs in a process of its own, since nobody needs to wait for it: after the end of a VM's process libvirt
/// sleeps for 0.2 s before it lets go of it. It is told if it does not notice at all.
void await_libvirt(const hypervisor::Driver& driver, const VmLeftOvers& vm,
                   const hypervisor::ConnectHypervisor& connect) {
  detach_process({});
  // A libvirt that does not answer finds it out when it goes on.
  warn_on_failure([&] {
    if (!driver.notices_end || !hypervisor::await_forgotten(driver, vm.name))
      connect({.uri = vm.uri})->destroy(vm.name);
  });
  hypervisor::remove_vm_traces(driver, vm.name);
}

}  // namespace

void end_vm(const std::string& vm_id, const VmLeftOvers& vm,
            const hypervisor::ConnectHypervisor& connect) {
  const hypervisor::Driver& driver = hypervisor::driver_for(vm.uri);
  const bool has_begun = std::filesystem::exists(VmPaths(vm_id).directory);
  const bool ended =
      traced("end the VM's processes", [&] { return end_processes(vm_id, vm, driver); });
  if (!ended && has_begun) connect({.uri = vm.uri})->destroy(vm.name);
  if (hypervisor::is_forgotten(driver, vm.name)) {
    hypervisor::remove_vm_traces(driver, vm.name);
  } else {
    fork_orphan([&] { await_libvirt(driver, vm, connect); });
  }
}

}  // namespace husk::runtime
