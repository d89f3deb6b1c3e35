// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lib/hypervisor/domain_options.hpp"
#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {
/// The domain XML for libvirt's qemu driver. Pure; every value is escaped; virt-xml-validate
/// accepts it.
std::string qemu_domain_xml(const VmConfig& config, CpuQuestions questions = CpuQuestions::few);
}  // namespace husk::hypervisor
