// SPDX-License-Identifier: Apache-2.0
// husk delete: undoes what create did, in reverse. Safe to repeat, whatever is gone already.
#include <filesystem>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/trace.hpp"
#include "lib/runtime/host/hooks.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/host/host_size.hpp"
#include "lib/runtime/plan/sizing.hpp"
#include "lib/runtime/plan/vm_paths.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/vm/leave_vm.hpp"
#include "lib/runtime/vm/resize_vm.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

void end_shim(const LeftOvers& left) {
  if (left.shim && !kill_process(*left.shim, 10s))
    throw Error(Errc::timed_out, "the shim did not exit");
}

}  // namespace

void Runtime::remove(const std::string& id, bool force) {
  const Span all("delete");
  if (force && !store_.exists(id)) return;
  try {
    remove_existing(id, force);
  } catch (const Error&) {
    // Another command may have deleted it since it was looked for.
    if (!force || store_.exists(id)) throw;
  }
}

/// Everything on the host but the state folder.
void Runtime::clean_up(const std::string& id, const LeftOvers& left) {
  Laps laps;
  end_shim(left);
  laps.end("end the shim");
  leave_vm(left.vm_id, id, config_.uri, connect_);
  laps.end("remove from the VM, or the VM");
  remove_host_cgroup({.container = id, .vm = left.vm_id}, left.unit, left.cgroups);
  laps.end("remove the cgroup");
  shrink_vm(left.vm_id);
}

/// The containers that stay need less. A VM that keeps what it has is no reason to fail.
void Runtime::shrink_vm(const std::string& vm_id) const noexcept {
  warn_on_failure([&] {
    if (vm_id.empty() || !std::filesystem::exists(VmPaths(vm_id).record())) return;
    if (live_shims(load_vm(vm_id)).empty()) return;
    fit_vm(vm_id, size_bounds(config_, find_memory_mib(), find_cpus()), Fit::shrink, connect_);
  });
}

/// A stray directory, or a record that this husk cannot read as a whole: what runs must not outlive
/// the knowledge of it.
void Runtime::remove_unknown(const std::string& id) {
  if (const auto left = store_.load_left_overs(id)) clean_up(id, *left);
  store_.remove(id);
}

void Runtime::remove_existing(const std::string& id, bool force) {
  if (force) store_.check_own(id);
  // A command that hangs must not keep the container for ever, and delete never works beside it.
  const DirectoryLock lock = force ? store_.lock_by_force(id) : store_.lock(id);
  ContainerRecord record;
  try {
    record = store_.load(id);
  } catch (const Error&) {
    if (!force) throw;
    return remove_unknown(id);
  }
  if (!force) check_allowed(Command::remove, state_of(record, /*create_at_work=*/false), id);
  clean_up(id, left_overs_of(record));
  store_.remove(id);
  run_hooks_tolerantly(record.hooks.poststop, "poststop", record.to_state(ContainerState::stopped));
}

}  // namespace husk::runtime
