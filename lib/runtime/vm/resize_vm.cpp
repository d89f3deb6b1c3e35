// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/resize_vm.hpp"

#include <algorithm>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/trace.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"
#include "lib/runtime/plan/vm_shape.hpp"
#include "lib/runtime/vm/vm_handle.hpp"
#include "lib/runtime/vm/vm_lock.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;
using guestcomm::GuestSize;
using hypervisor::VmShape;

/// The agent answers five seconds after the last change, and a large VM takes a while to change.
constexpr auto guest_patience = 60s;

GuestSize guest_size(const VmShape& shape) {
  return {.plugged_mib = shape.memory_device ? shape.memory_device->requested_mib : 0,
          .vcpus = shape.vcpus};
}

void check_taken(const GuestSize& wanted, const GuestSize& has) {
  if (has.plugged_mib < wanted.plugged_mib)
    throw Error(Errc::system, "the guest took " + std::to_string(has.plugged_mib) + " of " +
                                  std::to_string(wanted.plugged_mib) +
                                  " MiB that its VM was given (does its kernel have virtio_mem?)");
  if (has.vcpus < wanted.vcpus)
    throw Error(Errc::system, "the guest uses " + std::to_string(has.vcpus) + " of the VM's " +
                                  std::to_string(wanted.vcpus) + " CPUs");
}

void check_room(const VmShape& shape, const VmSize& wanted) {
  const VmSize most = most_of(shape);
  if (wanted.memory_mib > most.memory_mib)
    throw Error(Errc::invalid_argument, "not enough memory for the VM: its containers need " +
                                            std::to_string(wanted.memory_mib) +
                                            " MiB, the VM can have " +
                                            std::to_string(most.memory_mib) +
                                            " MiB (vm.max_memory_mib when it was started)");
  if (wanted.vcpus > most.vcpus)
    throw Error(Errc::invalid_argument, "not enough CPUs for the VM: its containers need " +
                                            std::to_string(wanted.vcpus) + ", the VM can have " +
                                            std::to_string(most.vcpus) +
                                            " (vm.max_vcpus when it was started)");
}

VmShape fitting(const VmShape& now, const VmSize& wanted, Fit fit) {
  const VmSize has = size_of(now);
  if (fit == Fit::shrink)
    return resized(now, {.memory_mib = std::min(has.memory_mib, wanted.memory_mib),
                         .vcpus = std::min(has.vcpus, wanted.vcpus)});
  check_room(now, wanted);
  return resized(now, {.memory_mib = std::max(has.memory_mib, wanted.memory_mib),
                       .vcpus = std::max(has.vcpus, wanted.vcpus)});
}

void change_memory(hypervisor::Hypervisor& libvirt, const std::string& name, const VmShape& from,
                   const VmShape& to) {
  if (to.memory_device != from.memory_device) libvirt.change(name, to.memory_device.value());
}

/// Tells the guest, and the record when the guest has it.
void change_guest(const VmRecord& vm, const VmShape& wanted, Fit fit) {
  guestcomm::AgentClient agent = VmHandle(vm).connect(VmHandle::connect_patience);
  const GuestSize size = guest_size(wanted);
  const GuestSize has = agent.call(guestcomm::ResizeGuest{size}, guest_patience);
  if (fit == Fit::grow) check_taken(size, has);
  change_vm(vm.id, [&](VmRecord& record) { record.shape = wanted; });
}

}  // namespace

VmDemands demands_of(const VmRecord& vm) {
  VmDemands demands{.pod = vm.pod_demand, .fixed = vm.fixed_size};
  for (const VmMember& member : vm.members)
    if (member.demand) demands.containers.push_back(*member.demand);
  return demands;
}

void fit_vm(const std::string& vm_id, const VmSizeBounds& bounds, Fit fit,
            const hypervisor::ConnectHypervisor& connect) {
  const Span span("size of the VM");
  VmHandle handle = VmHandle::open(vm_id);
  const DirectoryLock lock = handle.lock_network();
  const VmRecord vm = load_vm(vm_id);
  if (!vm.shape || !vm.process) return;
  const VmShape now = *vm.shape;
  const VmShape wanted = fitting(now, plan_vm_size(demands_of(vm), bounds), fit);
  if (wanted == now) return;
  const auto libvirt = connect({.uri = vm.uri});
  change_memory(*libvirt, vm.name, now, wanted);
  try {
    change_guest(vm, wanted, fit);
  } catch (const Error&) {
    if (fit == Fit::grow) warn_on_failure([&] { change_memory(*libvirt, vm.name, wanted, now); });
    throw;
  }
}

bool note_demand(const std::string& vm_id, const std::string& container, const Demand& demand) {
  bool is_noted = false;
  change_vm(vm_id, [&](VmRecord& record) {
    const auto member = std::ranges::find(record.members, container, &VmMember::id);
    if (member == record.members.end() || !member->demand) return;
    member->demand = demand;
    is_noted = true;
  });
  return is_noted;
}

void await_plugged(guestcomm::AgentClient& agent, const VmShape& shape) {
  const GuestSize wanted = guest_size(shape);
  if (wanted.plugged_mib == 0) return;
  check_taken(wanted, agent.call(guestcomm::ResizeGuest{wanted}, guest_patience));
}

}  // namespace husk::runtime
