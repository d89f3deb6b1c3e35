// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/ch_domain.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/hypervisor/xml_text.hpp"

namespace husk::hypervisor {
namespace {

using nlohmann::json;

/// The CID by which the guest knows itself. The host reaches the guest by the socket, so all VMs may have the same CID.
constexpr unsigned guest_cid = 3;

const GoBetween& go_between_of(const VmConfig& config) {
  if (!config.go_between)
    throw Error(Errc::invalid_argument,
                "VM " + config.name + ": Cloud Hypervisor is started without husk-ch");
  return *config.go_between;
}

json card_part(const NetworkCard& card) {
  check_network_card(card);
  return {{"tap", card.tap}, {"mac", card.mac}};
}

json file_rule(const std::filesystem::path& path, const char* access) {
  return {{"path", path.string()}, {"access", access}};
}

}  // namespace

std::string ch_domain_xml(const VmConfig& c) {
  const unsigned vcpus = std::max(c.shape.vcpus, c.shape.max_vcpus);
  std::string xml = "<domain type='kvm'>" + xml_element("name", c.name);
  if (!c.title.empty()) xml += xml_element("title", c.title);
  xml += xml_element("description", c.description);
  xml += "<memory unit='MiB'>" + std::to_string(c.shape.memory_mib) + "</memory>" +
         xml_element("vcpu", std::to_string(vcpus));
  xml += "<os><type arch='x86_64'>hvm</type>" + xml_element("kernel", c.kernel.string()) +
         xml_element("initrd", c.initrd.string()) + xml_element("cmdline", c.kernel_arguments) +
         "</os>";
  // A sandbox is never started again: whatever ends the guest ends the VM.
  for (const char* event : {"on_poweroff", "on_reboot", "on_crash"})
    xml += xml_element(event, "destroy");
  (void)go_between_of(c);
  xml += "<devices>" + xml_element("emulator", (c.directory / ch_emulator).string());
  return xml + "</devices></domain>\n";
}

std::string ch_additions(const VmConfig& c) {
  if (!c.vsock.hybrid_socket)
    throw Error(Errc::invalid_argument,
                "VM " + c.name + ": Cloud Hypervisor has no other vsock device than its own");
  const GoBetween& between = go_between_of(c);
  json additions{{"program", between.hypervisor.string()},
                 {"vsock", {{"cid", guest_cid}, {"socket", c.vsock.hybrid_socket->string()}}},
                 {"serial_file", c.console_log.string()},
                 {"fs", json::array()},
                 {"net", json::array()}};
  for (const SharedDirectory& directory : c.shared_directories)
    additions["fs"].push_back({{"tag", directory.tag}, {"socket", directory.socket.string()}});
  for (const NetworkCard& card : c.network_cards) additions["net"].push_back(card_part(card));
  if (c.shape.memory_device) additions["memory_hotplug_mib"] = c.shape.memory_device->size_mib;
  // Paths that Cloud Hypervisor opens, beside those of its own configuration, which it adds itself.
  additions["landlock"] = json::array({file_rule(c.directory, "rw")});
  return additions.dump();
}

}  // namespace husk::hypervisor
