// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/vm_handle.hpp"

#include "lib/base/error.hpp"
#include "lib/hypervisor/network_card.hpp"
#include "lib/runtime/plan/plan.hpp"
#include "lib/runtime/vm/vm_lock.hpp"

namespace husk::runtime {
guestcomm::GuestAccess VmHandle::guest() const {
  if (!record_.address)
    throw Error(Errc::wrong_state, "VM " + record_.id + ": has not been started");
  return {.address = *record_.address, .secret = record_.secret};
}

std::vector<hypervisor::NetworkCard> VmHandle::cards() const {
  return vm_cards(record_.id, record_.network_cards);
}

DirectoryLock VmHandle::lock_network(std::chrono::seconds patience) {
  auto lock = DirectoryLock::lock(paths_.network(), patience, "VM " + record_.id + ": the network");
  if (!lock) throw vm_gone(record_.id);
  record_ = load_vm(record_.id);
  return std::move(*lock);
}

void VmHandle::attach_card(const hypervisor::ConnectHypervisor& connect,
                           const std::function<void(const hypervisor::NetworkCard&)>& place) {
  const auto card = hypervisor::network_card(record_.id, record_.network_cards);
  connect({.uri = record_.uri})->attach(record_.name, card, [&] { place(card); });
  change_vm(record_.id, [&](VmRecord& record) {
    ++record.network_cards;
    record_ = record;
  });
}

}  // namespace husk::runtime
