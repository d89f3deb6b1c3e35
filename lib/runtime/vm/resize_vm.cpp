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
constexpr std::chrono::seconds guest_patience = 60s;
/// Nobody waits for memory that comes back: the guest answers at once, or not at all.
constexpr std::chrono::seconds shrink_patience = 5s;
constexpr std::chrono::seconds grow_lock_patience = 120s;

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

/// One limit that the VM cannot have is refused. All together may be more: plan_vm_size.
void check_room(const VmShape& shape, const Demand& demand) {
  const VmSize most = most_of(shape);
  if (const std::uint64_t wanted = demand.memory_mib.value_or(0); wanted > most.memory_mib)
    throw Error(Errc::invalid_argument,
                "not enough memory for the VM: linux.resources.memory.limit is " +
                    std::to_string(wanted) + " MiB, the VM can have " +
                    std::to_string(most.memory_mib) +
                    " MiB (vm.max_memory_mib when it was started)");
}

VmShape fitting(const VmShape& now, const VmSize& wanted, Fit fit) {
  const VmSize has = size_of(now);
  const auto choose = [&](const auto& a, const auto& b) {
    return fit == Fit::shrink ? std::min(a, b) : std::max(a, b);
  };
  return resized(now, {.memory_mib = choose(has.memory_mib, wanted.memory_mib),
                       .vcpus = choose(has.vcpus, wanted.vcpus)});
}

void change_memory(hypervisor::Hypervisor& libvirt, const std::string& name, const VmShape& from,
                   const VmShape& to) {
  if (to.memory_device != from.memory_device) libvirt.change(name, to.memory_device.value());
}

void record_shape(const std::string& vm_id, const VmShape& shape) {
  change_vm(vm_id, [&](VmRecord& record) { record.shape = shape; });
}

GuestSize tell_guest(const VmRecord& vm, const VmShape& shape, std::chrono::seconds patience) {
  return VmHandle(vm)
      .connect(std::min<std::chrono::seconds>(patience, VmHandle::connect_patience))
      .call(guestcomm::ResizeGuest{guest_size(shape)}, patience);
}

/// The record follows the guest: a husk that is killed in between leaves a VM that the next one gives more.
void grow(const VmRecord& vm, const VmShape& wanted, hypervisor::Hypervisor& libvirt) {
  change_memory(libvirt, vm.name, *vm.shape, wanted);
  try {
    check_taken(guest_size(wanted), tell_guest(vm, wanted, guest_patience));
    record_shape(vm.id, wanted);
  } catch (const Error&) {
    warn_on_failure([&] { change_memory(libvirt, vm.name, wanted, *vm.shape); });
    warn_on_failure([&] { tell_guest(vm, *vm.shape, shrink_patience); });
    throw;
  }
}

/// The record comes first: what is not known to be there is given again.
void shrink(const VmRecord& vm, const VmShape& wanted, hypervisor::Hypervisor& libvirt) {
  record_shape(vm.id, wanted);
  change_memory(libvirt, vm.name, *vm.shape, wanted);
  tell_guest(vm, wanted, shrink_patience);
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
  const DirectoryLock lock =
      handle.lock_network(fit == Fit::shrink ? shrink_patience : grow_lock_patience);
  const VmRecord vm = load_vm(vm_id);
  if (!vm.shape || !vm.process) return;
  if (fit == Fit::grow)
    for (const VmMember& member : vm.members)
      check_room(*vm.shape, member.demand.value_or(Demand{}));
  const VmShape wanted = fitting(*vm.shape, plan_vm_size(demands_of(vm), bounds), fit);
  if (wanted == *vm.shape) return;
  const auto libvirt = connect({.uri = vm.uri});
  fit == Fit::grow ? grow(vm, wanted, *libvirt) : shrink(vm, wanted, *libvirt);
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
