// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/sandbox_removal.hpp"

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/vm_process.hpp"
#include "lib/runtime/plan.hpp"
#include "lib/runtime/sandbox.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

/// They end with the VM; until then they hold the containers' mounts.
bool end_helpers(const VmLeftOvers& vm) {
  bool gone = true;
  for (const ProcessIdentity& helper : vm.helpers)
    gone = (wait_for_end(helper, 5s) || kill_process(helper, 5s)) && gone;
  return gone;
}

/// By pid first: that works whatever state libvirt is in.
bool end_processes(const VmLeftOvers& vm, const hypervisor::Driver& driver) {
  if (vm.process) return hypervisor::end_vm_process(driver, *vm.process) && end_helpers(vm);
  // A create that was killed half-way has not written it down.
  const auto process = hypervisor::find_vm_process(driver, vm.name);
  return process && hypervisor::end_vm_process(driver, *process);
}

/// libvirt is asked only where it is needed: it costs more than all the rest.
void end_vm(const std::string& vm_id, const VmLeftOvers& vm,
            const hypervisor::ConnectHypervisor& connect) {
  const hypervisor::Driver& driver = hypervisor::driver_for(vm.uri);
  const bool gone = end_processes(vm, driver);
  if (gone && hypervisor::await_forgotten(driver, vm.name)) return;
  if (!std::filesystem::exists(VmPaths(vm_id).directory)) return;  // create had not come this far
  try {
    connect({.uri = vm.uri})->destroy(vm.name);
  } catch (const Error& e) {
    if (!gone) throw;
    // The VM is gone all the same; libvirt finds that out when it goes on.
    log(LogLevel::warning, e.what());
  }
}

/// Whether others are in the VM, which is then left to them.
bool leave_to_others(const std::string& vm_id, const std::string& container) {
  try {
    VmRecord record = load_vm(vm_id);
    std::erase(record.members, container);
    if (record.members.empty()) return false;
    save_vm(record);
    return true;
  } catch (const Error&) {
    return false;  // nobody could talk to this VM any more
  }
}

/// What the record does not say, its id and its container tell.
VmLeftOvers find_left_overs(const std::string& vm_id, const std::string& container,
                            const std::string& uri) {
  VmLeftOvers vm = load_vm_left_overs(vm_id);
  if (vm.name.empty()) vm.name = vm_name(vm_id, container);
  if (vm.uri.empty()) vm.uri = uri;
  return vm;
}

}  // namespace

void remove_from_sandbox(const std::string& vm_id, const std::string& container,
                         const std::string& uri, const hypervisor::ConnectHypervisor& connect) {
  if (vm_id.empty()) return;
  const std::optional<DirectoryLock> lock = lock_vm(vm_id);
  if (leave_to_others(vm_id, container)) return;
  const VmLeftOvers vm = find_left_overs(vm_id, container, uri);
  end_vm(vm_id, vm, connect);
  hypervisor::remove_vm_traces(hypervisor::driver_for(vm.uri), vm.name);
  remove_vm_directory(vm_id);
}

}  // namespace husk::runtime
