// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/booted_vm.hpp"

#include "lib/base/cancellation.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/hypervisor/vm_process.hpp"

namespace husk::hypervisor {
namespace {

/// libvirt may go on with what it was asked for when nobody waits for the answer any more. A daemon that was killed
/// meanwhile leaves the VM's process, its cgroups and its own files.
void undo_start(const Driver& driver, Hypervisor& hypervisor, const VmConfig& config,
                bool goes_on) {
  const std::string& name = config.name;
  const auto process = find_vm_process(driver, name, config.directory);
  if (process) end_vm_process(*process);
  if (goes_on || process || !is_forgotten(driver, name)) {
    hypervisor.destroy(name);
    await_forgotten(driver, name);
  }
  remove_vm_traces(driver, name);
}

StartedVm start(const Driver& driver, Hypervisor& hypervisor, const VmConfig& config) {
  try {
    return hypervisor.start(config);
  } catch (const Error& e) {
    const bool goes_on = e.code() == Errc::timed_out || cancelled_by();
    const Undoing undoing;
    warn_on_failure([&] { undo_start(driver, hypervisor, config, goes_on); });
    throw;
  }
}

}  // namespace

BootedVm::BootedVm(const Driver& driver, Hypervisor& hypervisor, const VmConfig& config)
    : hypervisor_(hypervisor), vm_(start(driver, hypervisor, config)) {}

BootedVm::~BootedVm() {
  if (keep_) return;
  warn_on_failure([&] {
    end_vm_process(vm_.process);
    hypervisor_.destroy(vm_.name);
  });
}

}  // namespace husk::hypervisor
