// SPDX-License-Identifier: Apache-2.0
// The processors and the memory of a QEMU domain, with what can be plugged while the guest runs.
#pragma once

#include <string>

#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {

/// The elements maxMemory, memory and vcpu. Throws invalid_argument, with the VM's name, for a memory device that is not
/// in steps.
std::string qemu_size_xml(const std::string& vm, const VmShape& shape);

/// The element numa of the processor: libvirt has memory devices in a node only. Empty without a memory device.
std::string qemu_numa_xml(const VmShape& shape);

/// The device of a domain that is to start.
std::string qemu_memory_device_xml(const MemoryDevice& device);

/// The device with other content, for a running domain that libvirt describes as `domain`: a libvirt from 9.4 on takes
/// no change of a device whose address in the guest's memory is left out.
std::string qemu_changed_memory_xml(const MemoryDevice& device, const std::string& domain);

}  // namespace husk::hypervisor
