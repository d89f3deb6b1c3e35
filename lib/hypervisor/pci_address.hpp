// SPDX-License-Identifier: Apache-2.0
// Where the devices of a QEMU domain are on the guest's bus: directly on the root complex, since a port of its own for
// each device, libvirt's default, is one more bridge for the guest to scan at boot. Slots 1 and 0x1f are libvirt's, 0x10
// to 0x18 the network's (network_xml.cpp).
#pragma once

#include <string>

namespace husk::hypervisor {

inline constexpr unsigned balloon_slot = 2, vsock_slot = 3, first_shared_slot = 4,
                          memory_slot = 0xf;

inline std::string pci_address(unsigned slot) {
  return "<address type='pci' domain='0x0000' bus='0x00' slot='" + std::to_string(slot) +
         "' function='0x0'/>";
}

}  // namespace husk::hypervisor
