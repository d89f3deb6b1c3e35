// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {

/// Owns a running VM; destroyed again, by its process and by libvirt, unless kept. `driver` and
/// `hypervisor` must outlive it.
class BootedVm {
 public:
  /// Starts it. Throws as Hypervisor::start; where that was given up (timed out, cancelled), what
  /// libvirt has begun is ended first.
  BootedVm(const Driver& driver, Hypervisor& hypervisor, const VmConfig& config);
  BootedVm(const BootedVm&) = delete;
  BootedVm& operator=(const BootedVm&) = delete;
  ~BootedVm();

  const StartedVm& get() const noexcept { return vm_; }
  void keep() noexcept { keep_ = true; }

 private:
  Hypervisor& hypervisor_;
  StartedVm vm_;
  bool keep_ = false;
};

}  // namespace husk::hypervisor
