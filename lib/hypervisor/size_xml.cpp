// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/size_xml.hpp"

#include <algorithm>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/hypervisor/pci_address.hpp"

namespace husk::hypervisor {
namespace {

std::string mib(const std::string& name, std::uint64_t number, const std::string& attributes = {}) {
  return "<" + name + attributes + " unit='MiB'>" + std::to_string(number) + "</" + name + ">";
}

unsigned most_vcpus(const VmShape& shape) { return std::max(shape.vcpus, shape.max_vcpus); }

/// All of them are there from the start, as libvirt plugs none into a QEMU that is in another cgroup than libvirt's.
std::string vcpu_part(const VmShape& shape) {
  return "<vcpu>" + std::to_string(most_vcpus(shape)) + "</vcpu>";
}

void check_steps(const std::string& vm, std::uint64_t number) {
  if (number % memory_step_mib != 0)
    throw Error(Errc::invalid_argument, "VM " + vm + ": a memory device of " +
                                            std::to_string(number) + " MiB is not in steps of " +
                                            std::to_string(memory_step_mib) + " MiB");
}

/// The element address of the memory device in libvirt's description; empty: that libvirt has none.
std::string address_in(const std::string& domain) {
  const std::string_view start = "<address base='";
  const std::size_t device = domain.find("<memory model='virtio-mem'");
  const std::size_t end_of_device = domain.find("</memory>", device);
  const std::size_t at = domain.find(start, device);
  if (device == std::string::npos || at > end_of_device) return {};
  const std::size_t end = domain.find('\'', at + start.size());
  return domain.substr(at, end - at) + "'/>";
}

std::string memory_device(const MemoryDevice& device, const std::string& address) {
  return "<memory model='virtio-mem'><target>" + mib("size", device.size_mib) + "<node>0</node>" +
         mib("block", 2) + mib("requested", device.requested_mib) + address + "</target>" +
         // By which libvirt tells QEMU of the device when it changes.
         "<alias name='ua-memory'/>" + pci_address(memory_slot) + "</memory>";
}

}  // namespace

std::string qemu_size_xml(const std::string& vm, const VmShape& shape) {
  if (!shape.memory_device) return mib("memory", shape.memory_mib) + vcpu_part(shape);
  check_steps(vm, shape.memory_device->size_mib);
  check_steps(vm, shape.memory_device->requested_mib);
  const std::uint64_t most = shape.memory_mib + shape.memory_device->size_mib;
  return mib("maxMemory", most, " slots='1'") + mib("memory", most) + vcpu_part(shape);
}

std::string qemu_numa_xml(const VmShape& shape) {
  if (!shape.memory_device) return {};
  return "<numa><cell id='0' cpus='0-" + std::to_string(most_vcpus(shape) - 1) + "' memory='" +
         std::to_string(shape.memory_mib) + "' unit='MiB'/></numa>";
}

std::string qemu_memory_device_xml(const MemoryDevice& device) { return memory_device(device, {}); }

std::string qemu_changed_memory_xml(const MemoryDevice& device, const std::string& domain) {
  return memory_device(device, address_in(domain));
}

}  // namespace husk::hypervisor
