// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/network_xml.hpp"

#include <algorithm>

#include "lib/base/error.hpp"
#include "lib/hypervisor/xml_text.hpp"

namespace husk::hypervisor {
namespace {

/// Eight slots for cards, then one whose eight functions are ports (domain_xml.cpp has the rest).
constexpr unsigned first_card_slot = 0x10, max_cards = 8;
constexpr unsigned port_slot = 0x18, max_ports = 8;

std::string address(unsigned slot, unsigned function, bool shared) {
  return "<address type='pci' domain='0x0000' bus='0x00' slot='" + std::to_string(slot) +
         "' function='" + std::to_string(function) + "'" +
         (shared ? " multifunction='on'/>" : "/>");
}

/// A queue for each processor, so that none waits for another's; each is a thread of vhost on the
/// host, so not without end. None is the default, which is one.
std::string queues_part(unsigned vcpus) {
  constexpr unsigned max_queues = 8;
  return vcpus < 2 ? "" : "<driver queues='" + std::to_string(std::min(vcpus, max_queues)) + "'/>";
}

std::string card_part(const NetworkCard& card, unsigned vcpus, const std::string& rest) {
  check_network_card(card);
  // ethernet: a tap and nothing else. Without a driver's name it is vhost's where the host has it.
  // rom: nothing is booted from it.
  return "<interface type='ethernet'><mac address='" + xml_escape(card.mac) + "'/><target dev='" +
         xml_escape(card.tap) + "'/><model type='virtio'/>" + queues_part(vcpus) +
         "<rom enabled='no'/>" + rest + "</interface>";
}

/// A port takes one card, by ACPI: the guest has it after 0.04 s and is rid of it after 0.1 s
/// (PCIe's own hot-plugging: 0.2 s and 6 s). A pcie-to-pci-bridge would have many slots, but the
/// guest's kernel gives it no addresses for cards that come later. QEMU's processor time for a boot
/// (TCG, middle and least of 7, a busy machine): without 3.05 and 2.80 s, 1 port 2.98 and 2.79,
/// 4 ports 3.30 and 2.98, 8 ports 3.36 and 3.06, 1 card 3.44 and 2.84, 3 cards 3.09 and 2.82.
std::string port_part(unsigned number) {
  return "<controller type='pci' index='" + std::to_string(number + 1) +
         "' model='pcie-root-port'>" + address(port_slot, number, number == 0) + "</controller>";
}

void check_count(const VmConfig& config, std::size_t count, std::size_t limit, const char* what) {
  if (count > limit)
    throw Error(Errc::invalid_argument,
                "VM " + config.name + ": more than " + std::to_string(limit) + " network " + what);
}

}  // namespace

std::string qemu_network_xml(const VmConfig& c) {
  check_count(c, c.network_cards.size(), max_cards, "cards");
  check_count(c, c.network_ports, max_ports, "ports");
  std::string xml;
  for (unsigned number = 0; number < c.network_ports; ++number) xml += port_part(number);
  unsigned slot = first_card_slot;
  for (const NetworkCard& card : c.network_cards)
    xml += card_part(card, c.shape.vcpus, address(slot++, 0, false));
  return xml;
}

std::string qemu_network_card_xml(const NetworkCard& card, unsigned vcpus, Cable cable) {
  return card_part(card, vcpus, cable == Cable::in ? "<link state='up'/>" : "<link state='down'/>");
}

}  // namespace husk::hypervisor
