// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/domain_xml.hpp"

#include "lib/base/error.hpp"
#include "lib/hypervisor/network_xml.hpp"
#include "lib/hypervisor/pci_address.hpp"
#include "lib/hypervisor/size_xml.hpp"
#include "lib/hypervisor/xml_text.hpp"

namespace husk::hypervisor {
namespace {

std::string os_part(const VmConfig& c) {
  std::string xml = "<os><type arch='x86_64' machine='q35'>hvm</type>";
  if (!c.firmware.empty())
    xml += "<loader type='rom'>" + xml_escape(c.firmware.string()) + "</loader>";
  return xml + xml_element("kernel", c.kernel.string()) + xml_element("initrd", c.initrd.string()) +
         xml_element("cmdline", c.kernel_arguments) + "</os>";
}

/// Emulated, "rep movsb" goes byte by byte: the guest's kernel and C library shall not choose it.
std::string cpu_part(const VmConfig& c) {
  return c.accelerator == Accelerator::kvm
             ? "<cpu mode='host-passthrough'>" + qemu_numa_xml(c.shape) + "</cpu>"
             : "<cpu mode='maximum'><feature policy='disable' name='erms'/>"
               "<feature policy='disable' name='fsrm'/>" +
                   qemu_numa_xml(c.shape) + "</cpu>";
}

std::string shared_directory_part(const SharedDirectory& directory, unsigned slot) {
  return "<filesystem type='mount'><driver type='virtiofs' queue='1024'/><source socket='" +
         xml_escape(directory.socket.string()) + "'/><target dir='" + xml_escape(directory.tag) +
         "'/>" + pci_address(slot) + "</filesystem>";
}

std::string devices_part(const VmConfig& c) {
  std::string xml =
      "<devices><controller type='usb' model='none'/><input type='keyboard' bus='ps2'/>"
      "<memballoon model='virtio' freePageReporting='on'>" +
      pci_address(balloon_slot) + "</memballoon>";
  xml += "<serial type='file'><source path='" + xml_escape(c.console_log.string()) + "'/></serial>";
  unsigned slot = first_shared_slot;
  for (const SharedDirectory& directory : c.shared_directories) {
    xml += shared_directory_part(directory, slot++);
  }
  xml += qemu_network_xml(c);
  if (c.shape.memory_device) xml += qemu_memory_device_xml(*c.shape.memory_device);
  if (!c.vsock.vhost_user_socket)
    xml += "<vsock model='virtio'><cid auto='yes'/>" + pci_address(vsock_slot) + "</vsock>";
  return xml + "</devices>";
}

/// libvirt knows no vhost-user vsock, so QEMU is told directly.
std::string command_line_part(const VmConfig& c) {
  if (!c.vsock.vhost_user_socket) return {};
  const std::string path = c.vsock.vhost_user_socket->string();
  if (path.find(',') != std::string::npos) {
    throw Error(Errc::invalid_argument, "vsock socket path " + path + " contains a comma");
  }
  const std::string arguments[] = {
      "-chardev", "socket,id=husk-vsock,path=" + path, "-device",
      "vhost-user-vsock-pci,chardev=husk-vsock,bus=pcie.0,addr=" + std::to_string(vsock_slot)};
  std::string xml = "<qemu:commandline>";
  for (const std::string& argument : arguments)
    xml += "<qemu:arg value='" + xml_escape(argument) + "'/>";
  return xml + "</qemu:commandline>";
}

/// Where this QEMU could not name what its CPU lacks, libvirt would ask for its feature words; so it
/// is told that it cannot. The CPU is the same.
std::string capabilities_part(CpuQuestions questions) {
  if (questions == CpuQuestions::all) return {};
  return "<qemu:capabilities><qemu:del capability='cpu-unavailable-features'/>"
         "</qemu:capabilities>";
}

}  // namespace

std::string qemu_domain_xml(const VmConfig& c, CpuQuestions questions) {
  const std::string type = c.accelerator == Accelerator::kvm ? "kvm" : "qemu";
  std::string xml =
      "<domain type='" + type + "' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>";
  xml += xml_element("name", c.name);
  if (!c.title.empty()) xml += xml_element("title", c.title);
  xml += xml_element("description", c.description);
  xml += qemu_size_xml(c.name, c.shape);
  // virtio-fs and a vhost-user vsock map the memory.
  xml += "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>";
  xml += os_part(c);
  xml += "<features><acpi/></features>" + cpu_part(c);
  // A sandbox is never started again: whatever ends the guest ends the VM.
  for (const char* event : {"on_poweroff", "on_reboot", "on_crash"})
    xml += xml_element(event, "destroy");
  return xml + devices_part(c) + command_line_part(c) + capabilities_part(questions) +
         "</domain>\n";
}

}  // namespace husk::hypervisor
