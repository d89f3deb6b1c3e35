// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/live_network.hpp"

#include <cstdlib>

#include "lib/hypervisor/xml_text.hpp"

namespace husk::hypervisor {
namespace {

unsigned count_processors(virDomainPtr domain) {
  virDomainInfo info{};
  if (libvirt().domain_get_info(domain, &info) != 0) throw libvirt_error("ask for the processors");
  return info.nrVirtCpu;
}

/// Takes the card away again, as soon as the guest lets go of it.
void ask_guest_for(virDomainPtr domain, const std::string& mac) {
  const std::string xml =
      "<interface type='ethernet'><mac address='" + xml_escape(mac) + "'/></interface>";
  libvirt().domain_detach_device_flags(domain, xml.c_str(), VIR_DOMAIN_AFFECT_LIVE);
}

}  // namespace

std::string describe_domain(virDomainPtr domain) {
  char* text = libvirt().domain_get_xml_desc(domain, 0);
  if (text == nullptr) throw libvirt_error("describe the VM");
  const std::string xml = text;
  std::free(text);
  return xml;
}

void attach_card(const Driver& driver, virDomainPtr domain, const NetworkCard& card,
                 const std::function<void()>& place) {
  const unsigned vcpus = count_processors(domain);
  // The guest runs, and is hostile: not a frame of it may reach the host's own network.
  const std::string unplugged = driver.network_card_xml(card, vcpus, Cable::out);
  if (libvirt().domain_attach_device_flags(domain, unplugged.c_str(), VIR_DOMAIN_AFFECT_LIVE) != 0)
    throw libvirt_error("libvirt");
  try {
    place();
    const std::string plugged = driver.network_card_xml(card, vcpus, Cable::in);
    if (libvirt().domain_update_device_flags(domain, plugged.c_str(), VIR_DOMAIN_AFFECT_LIVE) != 0)
      throw libvirt_error("libvirt");
  } catch (...) {
    ask_guest_for(domain, card.mac);
    throw;
  }
}

}  // namespace husk::hypervisor
