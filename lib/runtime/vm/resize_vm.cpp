// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/resize_vm.hpp"

#include <algorithm>
#include <thread>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/trace.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"
#include "lib/runtime/host/open_files.hpp"
#include "lib/runtime/plan/vm_limits.hpp"
#include "lib/runtime/plan/vm_shape.hpp"
#include "lib/runtime/vm/vm_handle.hpp"
#include "lib/runtime/vm/vm_lock.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;
using guestcomm::GuestSize;
using hypervisor::VmShape;

/// The agent answers five seconds after the last change, and a large VM takes a while to change.
constexpr std::chrono::seconds resize_patience = 60s;
/// Nobody waits for memory that comes back: the guest answers at once, or not at all.
constexpr std::chrono::seconds shrink_patience = 5s;
constexpr std::chrono::seconds grow_lock_patience = 120s;
/// A guest takes less than a second to give memory back.
constexpr std::chrono::milliseconds unplug_patience = 2s;
constexpr std::chrono::milliseconds unplug_interval = 50ms;

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

template <typename Value>
std::optional<Value> either(const std::optional<Value>& one, const std::optional<Value>& other) {
  return one ? one : other;
}

/// Joins the limits that were and those that are to be: a husk that is killed half-way, or an error, may leave any of them.
CgroupLimits joined(const CgroupLimits& one, const CgroupLimits& other) {
  return {.memory_bytes = either(one.memory_bytes, other.memory_bytes),
          .quota_us = either(one.quota_us, other.quota_us),
          .cpu_shares = either(one.cpu_shares, other.cpu_shares),
          .cpus = either(one.cpus, other.cpus),
          .mems = either(one.mems, other.mems),
          .processes = either(one.processes, other.processes)};
}

void record_limits(VmRecord& vm, const CgroupLimits& limits) {
  if (limits == vm.limits) return;
  vm.limits = limits;
  change_vm(vm.id, [&](VmRecord& record) { record.limits = limits; });
}

/// Also where nothing changes: the VM may have been moved into another cgroup.
void change_limits(VmRecord& vm, const CgroupLimits& wanted) {
  record_limits(vm, joined(wanted, vm.limits));
  limit_cgroups_of(vm.process.value(), wanted, vm.limits);
  record_limits(vm, wanted);
}

CgroupLimits limits_at(const VmRecord& vm, const VmSize& size) {
  return plan_vm_limits(demands_of(vm), size, vm.accelerator, open_files_limit());
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
    check_taken(guest_size(wanted), tell_guest(vm, wanted, resize_patience));
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
}

/// What a guest that was asked for memory still has after a moment. A guest that uses what the host no longer allows
/// would be killed.
VmSize size_after_shrinking(const VmRecord& vm, const VmShape& wanted) {
  VmSize size = size_of(wanted);
  if (!wanted.memory_device) return size;
  const Deadline deadline(unplug_patience);
  std::uint64_t plugged = tell_guest(vm, wanted, shrink_patience).plugged_mib;
  while (plugged > wanted.memory_device->requested_mib && !deadline.passed()) {
    std::this_thread::sleep_for(unplug_interval);
    plugged = tell_guest(vm, wanted, shrink_patience).plugged_mib;
  }
  plugged = std::min(plugged, wanted.memory_device->size_mib);
  size.memory_mib = std::max(size.memory_mib, wanted.memory_mib + plugged);
  return size;
}

/// The memory that the host allows until the guest was asked: as much as before, or all that the VM can have.
std::optional<std::uint64_t> allowed_memory(const VmRecord& vm, const CgroupLimits& limits) {
  const auto before =
      either(vm.limits.memory_bytes, limits_at(vm, most_of(*vm.shape)).memory_bytes);
  return std::max(limits.memory_bytes, before);
}

/// A guest that does not answer, or a libvirt, leaves the memory as it is. The other limits hold all the same.
void shrink_and_limit(VmRecord& vm, const VmShape& wanted,
                      const hypervisor::ConnectHypervisor& connect) {
  CgroupLimits limits = limits_at(vm, size_of(wanted));
  const bool asks = limits.memory_bytes < allowed_memory(vm, limits);
  limits.memory_bytes = allowed_memory(vm, limits);
  change_limits(vm, limits);
  if (wanted != *vm.shape) shrink(vm, wanted, *connect({.uri = vm.uri}));
  if (asks) change_limits(vm, limits_at(vm, size_after_shrinking(vm, wanted)));
}

/// The host allows the memory before the guest has it.
void limit_and_grow(VmRecord& vm, const VmShape& wanted,
                    const hypervisor::ConnectHypervisor& connect) {
  CgroupLimits before = vm.limits;
  CgroupLimits limits = limits_at(vm, size_of(wanted));
  limits.memory_bytes = allowed_memory(vm, limits);
  try {
    change_limits(vm, limits);
    if (wanted != *vm.shape) grow(vm, wanted, *connect({.uri = vm.uri}));
  } catch (const Error&) {
    // The guest may have some of the memory by now.
    before.memory_bytes = limits.memory_bytes;
    warn_on_failure([&] { change_limits(vm, before); });
    throw;
  }
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
  VmRecord vm = load_vm(vm_id);
  if (!vm.shape || !vm.process) return;
  if (fit == Fit::grow)
    for (const VmMember& member : vm.members)
      check_room(*vm.shape, member.demand.value_or(Demand{}));
  const VmShape wanted = fitting(*vm.shape, plan_vm_size(demands_of(vm), bounds), fit);
  fit == Fit::grow ? limit_and_grow(vm, wanted, connect) : shrink_and_limit(vm, wanted, connect);
}

void give_shape(VmRecord& vm, const VmShape& wanted, hypervisor::Hypervisor& libvirt,
                guestcomm::AgentClient& agent) {
  change_memory(libvirt, vm.name, vm.shape.value(), wanted);
  check_taken(guest_size(wanted),
              agent.call(guestcomm::ResizeGuest{guest_size(wanted)}, resize_patience));
  vm.shape = wanted;
}

void limit_vm(VmRecord& vm) {
  const CgroupLimits limits = limits_at(vm, size_of(vm.shape.value()));
  limit_cgroups_of(vm.process.value(), limits, {});
  vm.limits = limits;
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
  check_taken(wanted, agent.call(guestcomm::ResizeGuest{wanted}, resize_patience));
}

}  // namespace husk::runtime
