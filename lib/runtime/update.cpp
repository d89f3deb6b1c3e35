// SPDX-License-Identifier: Apache-2.0
// husk update: limits of a container, which its guest keeps to, and to which its VM is fitted.
#include <algorithm>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/oci/check.hpp"
#include "lib/runtime/host/host_size.hpp"
#include "lib/runtime/plan/sizing.hpp"
#include "lib/runtime/record/container_state.hpp"
#include "lib/runtime/record/end_meanwhile.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/vm/resize_vm.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {
namespace {

/// What the container asked for until now. Empty: nobody knows.
std::optional<Demand> demand_on_record(const std::string& vm_id, const std::string& id) {
  const VmRecord vm = load_vm(vm_id);
  const auto member = std::ranges::find(vm.members, id, &VmMember::id);
  return member == vm.members.end() ? std::nullopt : member->demand;
}

void update_guest(const std::string& vm_id, const std::string& id,
                  const oci::Resources& resources) {
  constexpr std::chrono::seconds patience{10};
  step("the guest did not update the container", [&] {
    VmHandle::open(vm_id).connect(patience).call(guestcomm::UpdateContainer{id, resources},
                                                 patience);
  });
}

}  // namespace

void Runtime::update(const std::string& id, const oci::Resources& resources) {
  const ContainerRecord record = store_.load_for(Command::update, id);
  oci::check_resources(resources);
  const VmSizeBounds bounds = size_bounds(config_, find_memory_mib(), find_cpus());
  unless_it_ends(store_, record, Command::update, [&, vm_id = record.vm_id] {
    const std::optional<Demand> old = demand_on_record(vm_id, id);
    const Demand wanted = updated(old.value_or(Demand{}), resources);
    if (!old) return update_guest(vm_id, id, resources);
    check_demand(wanted, bounds);
    // A container whose limit is lifted goes on with what it has.
    const bool is_lifted =
        (old->memory_mib && !wanted.memory_mib) || (cpu_milli(*old) && !cpu_milli(wanted));
    const auto shrink = [&] {
      warn_on_failure([&] { fit_vm(vm_id, bounds, Fit::shrink, connect_); });
    };
    // A guest has the memory before its container may use it, and gives it back after that.
    note_demand(vm_id, id, wanted);
    try {
      fit_vm(vm_id, bounds, Fit::grow, connect_);
      update_guest(vm_id, id, resources);
    } catch (const Error&) {
      note_demand(vm_id, id, *old);
      shrink();
      throw;
    }
    if (!is_lifted) shrink();
  });
}

}  // namespace husk::runtime
