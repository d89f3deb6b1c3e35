// SPDX-License-Identifier: Apache-2.0
// The network's part of the domain XML, and of what libvirt is asked for later. Pure. Private to
// lib/hypervisor.
#pragma once

#include <string>

#include "lib/hypervisor/domain_options.hpp"
#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {

/// The cards of `config` and the ports for later ones, for within <devices>. Throws
/// invalid_argument for more than 8 of one, and as check_network_card.
std::string qemu_network_xml(const VmConfig& config);

/// A card on whichever port is free, for a VM with so many processors. Throws as
/// check_network_card.
std::string qemu_network_card_xml(const NetworkCard& card, unsigned vcpus, Cable cable);

}  // namespace husk::hypervisor
