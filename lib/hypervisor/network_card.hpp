// SPDX-License-Identifier: Apache-2.0
// A VM's network cards. Pure: names devices, and touches none.
#pragma once

#include <string>

namespace husk::hypervisor {

/// A virtio card of the VM, and the tap that is its other end.
///
/// libvirt makes the tap in its own network namespace, for this VM alone: it is there when
/// Hypervisor::start or attach returns, and goes with QEMU, whatever ends that and wherever the tap
/// was moved to or renamed by then. Up, so with an IPv6 link-local address after a second, and
/// with qdisc noqueue, which libvirt cannot be kept from; down and without address once moved.
/// libvirt removes it by name at the VM's end: where it was moved away, it makes another of that
/// name for some milliseconds, so nothing else may have the name in libvirt's namespace.
struct NetworkCard {
  std::string mac;  ///< the guest's; the tap's own begins with fe
  std::string tap;  ///< at most 15 characters
};

/// Card `number` (from 0) of the VM `vm_id` (8 hex digits). No two cards of VMs of one host are
/// alike: id and number stand in both names. The MAC is locally administered and unicast, and none
/// of Docker's (02:42) or of libvirt's own (52:54:00). Throws invalid_argument for another id, and
/// from number 100 on.
NetworkCard network_card(const std::string& vm_id, unsigned number);

/// Whether a tap of that name is one of that VM's.
bool is_tap_of(const std::string& vm_id, const std::string& tap);

/// Throws invalid_argument, naming the field, for what libvirt or the kernel would refuse, or take
/// for something else: a MAC that is not six pairs of (lower-case) hex digits, or not unicast; a tap's name that
/// is empty, too long, or not of letters, digits, '-' and '_' ("vnet%d" would be a pattern).
void check_network_card(const NetworkCard& card);

}  // namespace husk::hypervisor
