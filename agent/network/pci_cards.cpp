// SPDX-License-Identifier: Apache-2.0
#include "agent/network/pci_cards.hpp"

#include <filesystem>

#include "agent/network/links.hpp"
#include "agent/network/netlink.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

namespace fs = std::filesystem;

/// The parent of a virtio device on the PCI bus; empty for a link that is no card.
fs::path pci_device(const std::string& link) {
  std::error_code none;
  const fs::path device = fs::canonical("/sys/class/net/" + link + "/device", none);
  if (none || !fs::exists(device.parent_path() / "remove", none)) return {};
  return device.parent_path();
}

}  // namespace

std::vector<Card> PciCards::list() {
  std::vector<Card> cards;
  for (const Link& link : load_links(NetlinkSocket{})) {
    if (!link.permanent_mac.empty() && !pci_device(link.name).empty())
      cards.push_back({link.index, link.name, link.permanent_mac});
  }
  return cards;
}

void PciCards::remove(const Card& card) { write_existing(pci_device(card.name) / "remove", "1"); }

void PciCards::rescan() { write_existing("/sys/bus/pci/rescan", "1"); }

}  // namespace husk::agent
