// SPDX-License-Identifier: Apache-2.0
// Network cards of a VM that runs. Private to lib/hypervisor.
#pragma once

#include <functional>
#include <string>

#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/libvirt_api.hpp"
#include "lib/hypervisor/network_card.hpp"

namespace husk::hypervisor {

/// The XML by which libvirt describes the domain.
std::string describe_domain(virDomainPtr domain);

/// Does the work of Hypervisor::attach.
void attach_card(const Driver& driver, virDomainPtr domain, const NetworkCard& card,
                 const std::function<void()>& place);

}  // namespace husk::hypervisor
