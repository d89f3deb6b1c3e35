// SPDX-License-Identifier: Apache-2.0
// A cgroup for a libvirtd that husk starts where /dev/kvm is of no use. Private to lib/hypervisor.
#pragma once

namespace husk::hypervisor {

/// libvirt finds out in two ways whether KVM works: by running QEMU, and by access(2) as QEMU's
/// user. Where they disagree, as with a /dev/kvm that only root may open and no udev that would
/// change it, libvirt throws away what it learnt of QEMU and asks again, four times at every start
/// of a VM: 18 s in place of 0.7 s. So a daemon that cannot use KVM anyway is not let near it.
/// Best effort, and on cgroup v1 only: such hosts have udev otherwise.
void enter_cgroup_without_kvm();

/// Removes it again; does nothing while somebody is in it.
void remove_cgroup_without_kvm() noexcept;

}  // namespace husk::hypervisor
