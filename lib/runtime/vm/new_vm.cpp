// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/new_vm.hpp"

#include "lib/runtime/plan/vm_shape.hpp"
#include "lib/runtime/vm/resize_vm.hpp"
#include "lib/runtime/vm/vm_lock.hpp"

namespace husk::runtime {
namespace {

VmRecord first_record(const VmPlan& plan) {
  VmRecord record;
  record.id = plan.id;
  record.name = plan.vm.name;
  record.uri = plan.uri;
  record.secret = plan.secret;
  record.network_namespace = plan.network_namespace;
  record.pod = plan.pod;
  record.shape = plan.vm.shape;
  record.pod_demand = plan.pod_demand;
  record.fixed_size = plan.fixed_size;
  record.accelerator = plan.vm.accelerator;
  record.network_cards = static_cast<unsigned>(plan.vm.network_cards.size());
  return record;
}

/// The plan's, with what the VM is and has.
VmRecord claimed_record(const VmPlan& plan, const VmRecord& spare) {
  VmRecord record = first_record(plan);
  record.secret = spare.secret;
  record.shape = spare.shape;
  record.network_cards = spare.network_cards;
  record.cgroups = spare.cgroups;  // until adopt() has emptied them
  record.process = spare.process;
  record.helpers = spare.helpers;
  record.address = spare.address;
  return record;
}

}  // namespace

NewVm::NewVm(const VmPlan& plan)
    : plan_(plan),
      directory_(plan.id, plan.assets, plan.secret, to_text(plan.kernel_settings)),
      record_(first_record(plan)) {
  lock_ = lock_vm(plan.id);
  if (!lock_) throw vm_gone(plan.id);  // removed by another command since it was made
  save_vm(record_);
  if (plan.pod && plan.pod->network)
    directory_.pin_network(plan.network_namespace.value(), *plan.pod->network);
}

NewVm::NewVm(const VmPlan& plan, TakenSpare spare, const hypervisor::ConnectHypervisor& connect)
    : plan_(plan),
      lock_(std::move(spare.lock)),
      directory_(plan.id),
      record_(claimed_record(plan, spare.record)) {
  directory_.own();
  claimed_.emplace(spare, connect);
  save_vm(record_);
}

void NewVm::change_record(const std::function<void(VmRecord&)>& change) {
  change(record_);
  save_vm(record_);
}

void NewVm::start(const hypervisor::ConnectHypervisor& connect) {
  if (claimed_) return;
  vm_.emplace(plan_, connect);
  change_record([&](VmRecord& record) {
    record.name = vm_->get().name;
    record.process = vm_->get().process;
    record.helpers = vm_->helpers();
    record.address = vm_->address();
  });
}

void NewVm::park(HostCgroup& cgroup) { vm_.value().park(cgroup, handle().cards()); }

void NewVm::adopt(const ProcessIdentity& shim, HostCgroup& cgroup) {
  if (claimed_) return claimed_->adopt(shim, cgroup, handle().cards());
  vm_.value().adopt(shim, cgroup, handle().cards());
}

void NewVm::await_agent(std::chrono::seconds patience) {
  if (claimed_) return;
  const int protocol = vm_.value().await_agent(patience);
  const auto address = guestcomm::with_protocol(record_.address.value(), protocol);
  if (address != record_.address)
    change_record([&](VmRecord& record) { record.address = address; });
}

std::optional<guestcomm::AgentClient> NewVm::take_agent() {
  return claimed_ ? claimed_->take_agent() : std::nullopt;
}

void NewVm::complete_size(guestcomm::AgentClient& agent) {
  if (!claimed_) return await_plugged(agent, plan_.vm.shape);
  claimed_->resize(record_, size_of(plan_.vm.shape), agent);
  save_vm(record_);
}

void NewVm::keep() noexcept {
  if (vm_) vm_->keep();
  if (claimed_) claimed_->keep();
  directory_.keep();
}

}  // namespace husk::runtime
