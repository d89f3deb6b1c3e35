// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/sandbox.hpp"

#include "lib/base/error.hpp"

namespace husk::runtime {
namespace {

constexpr std::chrono::seconds lock_patience{10};

VmRecord first_record(const SandboxPlan& plan) {
  VmRecord record;
  record.id = plan.id;
  record.name = plan.vm.name;
  record.uri = plan.uri;
  record.secret = plan.secret;
  record.network_cards = static_cast<unsigned>(plan.vm.network_cards.size());
  return record;
}

}  // namespace

Sandbox::Sandbox(const SandboxPlan& plan)
    : directory_(plan.id, plan.assets, plan.user.uid, plan.user.gid, plan.secret),
      record_(first_record(plan)) {
  lock_ = lock_vm(plan.id);
  save_vm(record_);
}

void Sandbox::add_container(const std::string& id, const std::filesystem::path& rootfs,
                            const GuestPlan& plan) {
  // First: a name in the list too many is struck off by delete, one too few would end the VM of
  // another.
  record_.members.push_back(id);
  save_vm(record_);
  directory_.add_container(id, rootfs, plan);
}

std::unique_ptr<BootingVm> Sandbox::boot(const SandboxPlan& plan,
                                         const hypervisor::ConnectHypervisor& connect,
                                         HostCgroup& cgroup, pid_t shim,
                                         const guestcomm::KeeperCallbacks& callbacks) {
  auto vm = std::make_unique<BootingVm>(plan, connect, cgroup, shim, callbacks);
  record_.name = vm->get().name;
  record_.process = vm->get().process;
  record_.helpers = vm->get().helpers;
  record_.address = vm->address();
  save_vm(record_);
  return vm;
}

void Sandbox::attach_card(const hypervisor::ConnectHypervisor& connect,
                          const std::function<void(const hypervisor::NetworkCard&)>& place) {
  const auto lock = lock_vm(record_.id);
  if (!lock) throw Error(Errc::not_found, "VM " + record_.id + ": is gone");
  record_ = load_vm(record_.id);
  const auto card = hypervisor::network_card(record_.id, record_.network_cards);
  connect({.uri = record_.uri})->attach(record_.name, card, [&] { place(card); });
  ++record_.network_cards;
  save_vm(record_);
}

guestcomm::GuestAccess Sandbox::guest() const {
  if (!record_.address)
    throw Error(Errc::wrong_state, "VM " + record_.id + ": has not been started");
  return {.address = *record_.address, .secret = record_.secret};
}

std::optional<DirectoryLock> lock_vm(const std::string& vm_id) {
  DirectoryLock::Failure failure{};
  auto lock = DirectoryLock::acquire(VmPaths(vm_id).directory, lock_patience, failure);
  if (!lock && failure == DirectoryLock::Failure::timed_out)
    throw Error(Errc::timed_out, "VM " + vm_id + ": another command is at work on it");
  return lock;
}

}  // namespace husk::runtime
