// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/sandbox.hpp"

#include <algorithm>

#include "lib/base/error.hpp"
#include "lib/runtime/vm/other_mount_namespace.hpp"

namespace husk::runtime {
namespace {

constexpr std::chrono::seconds vm_lock_patience{10};
/// libvirt and the guest both take their time with a new card.
constexpr std::chrono::seconds network_lock_patience{120};

Error gone(const std::string& vm_id) { return {Errc::not_found, "VM " + vm_id + ": is gone"}; }

VmRecord first_record(const SandboxPlan& plan) {
  VmRecord record;
  record.id = plan.id;
  record.name = plan.vm.name;
  record.uri = plan.uri;
  record.secret = plan.secret;
  record.network_namespace = plan.network_namespace;
  record.network_cards = static_cast<unsigned>(plan.vm.network_cards.size());
  return record;
}

}  // namespace

Sandbox::Sandbox(const SandboxPlan& plan)
    : directory_(plan.id, plan.assets, plan.secret), record_(first_record(plan)) {
  lock_ = lock_vm(plan.id);
  save_vm(record_);
}

/// Whoever made the Sandbox holds the lock, who opened one takes it for this alone.
void Sandbox::change_record(const std::function<void(VmRecord&)>& change) {
  std::optional<DirectoryLock> lock;
  if (!lock_) {
    lock = lock_vm(record_.id);
    if (!lock) throw gone(record_.id);
    record_ = load_vm(record_.id);
  }
  change(record_);
  save_vm(record_);
}

void Sandbox::add_member(const std::string& id) {
  if (!shows_vm_directory(paths())) throw other_mount_namespace_error(paths());
  change_record([&](VmRecord& record) {
    if (record.process && !is_alive(*record.process)) throw gone(record.id);
    if (std::ranges::find(record.members, id, &VmMember::id) != record.members.end())
      throw Error(Errc::already_exists,
                  "VM " + record.id + ": container with given ID already exists in it");
    record.members.push_back({.id = id});
  });
}

void Sandbox::note_shim(const std::string& id, const ProcessIdentity& shim) {
  change_record([&](VmRecord& record) {
    const auto member = std::ranges::find(record.members, id, &VmMember::id);
    if (member == record.members.end()) throw gone(record.id);
    member->shim = shim;
  });
}

std::unique_ptr<BootingVm> Sandbox::boot(const SandboxPlan& plan,
                                         const hypervisor::ConnectHypervisor& connect,
                                         HostCgroup& cgroup, pid_t shim) {
  auto vm = std::make_unique<BootingVm>(plan, connect, cgroup, shim);
  record_.name = vm->get().name;
  record_.process = vm->get().process;
  record_.helpers = vm->get().helpers;
  record_.address = vm->address();
  save_vm(record_);
  return vm;
}

void Sandbox::attach_card(const hypervisor::ConnectHypervisor& connect,
                          const std::function<void(const hypervisor::NetworkCard&)>& place) {
  const auto card = hypervisor::network_card(record_.id, record_.network_cards);
  connect({.uri = record_.uri})->attach(record_.name, card, [&] { place(card); });
  change_record([](VmRecord& record) { ++record.network_cards; });
}

DirectoryLock Sandbox::lock_network() {
  DirectoryLock::Failure failure{};
  auto lock = DirectoryLock::acquire(paths().network(), network_lock_patience, failure);
  if (!lock && failure == DirectoryLock::Failure::gone) throw gone(record_.id);
  if (!lock)
    throw Error(Errc::timed_out, "VM " + record_.id + ": the network is locked by another command");
  record_ = load_vm(record_.id);
  return std::move(*lock);
}

guestcomm::GuestAccess Sandbox::guest() const {
  if (!record_.address)
    throw Error(Errc::wrong_state, "VM " + record_.id + ": has not been started");
  return {.address = *record_.address, .secret = record_.secret};
}

std::optional<DirectoryLock> lock_vm(const std::string& vm_id) {
  DirectoryLock::Failure failure{};
  auto lock = DirectoryLock::acquire(VmPaths(vm_id).directory, vm_lock_patience, failure);
  if (!lock && failure == DirectoryLock::Failure::timed_out)
    throw Error(Errc::timed_out, "VM " + vm_id + ": is locked by another command");
  return lock;
}

}  // namespace husk::runtime
