// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/booted_vm.hpp"

#include "lib/base/cancellation.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/hypervisor/vm_process.hpp"

namespace husk::hypervisor {
namespace {

/// libvirt may go on with what it was asked for when nobody waits for the answer any more.
StartedVm start(const Driver& driver, Hypervisor& hypervisor, const VmConfig& config) {
  try {
    return hypervisor.start(config);
  } catch (const Error& e) {
    if (e.code() != Errc::timed_out && !cancelled_by()) throw;
    const Undoing undoing;
    warn_on_failure([&] {
      if (const auto process = find_vm_process(driver, config.name)) end_vm_process(*process);
      hypervisor.destroy(config.name);
    });
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
