// SPDX-License-Identifier: Apache-2.0
// How a container leaves its VM, and how a VM ends.
#pragma once

#include <string>

#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/record/state_store.hpp"

namespace husk::runtime {

/// Strikes the container, whose shim has ended, off the VM's members, and takes what is its own out
/// of the VM, which moves into the cgroup of one that stays. The last that runs ends the VM; the last
/// of all removes what is left of it on the host, whatever its record can still tell. May be
/// repeated. `uri`: libvirt's, where the record does not say. Throws when something of the VM could
/// not be ended.
void remove_from_sandbox(const std::string& vm_id, const std::string& container,
                         const std::string& uri, const hypervisor::ConnectHypervisor& connect);

/// A container that became member of a VM which runs: leaves it on destruction unless kept. Where that
/// fails its state stays, so that it can be tried again.
class JoinedVm {
 public:
  JoinedVm(std::string vm_id, std::string container, hypervisor::ConnectHypervisor connect,
           StateDir& state)
      : vm_id_(std::move(vm_id)),
        container_(std::move(container)),
        connect_(std::move(connect)),
        state_(state) {}
  JoinedVm(const JoinedVm&) = delete;
  JoinedVm& operator=(const JoinedVm&) = delete;
  ~JoinedVm();
  void keep() noexcept { keep_ = true; }

 private:
  std::string vm_id_, container_;
  hypervisor::ConnectHypervisor connect_;
  StateDir& state_;
  bool keep_ = false;
};

}  // namespace husk::runtime
