// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/sandbox_removal.hpp"

#include <exception>
#include <thread>

#include "lib/base/deadline.hpp"
#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/trace.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/vm_process.hpp"
#include "lib/runtime/container_network.hpp"
#include "lib/runtime/host_cgroup.hpp"
#include "lib/runtime/plan.hpp"
#include "lib/runtime/sandbox.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

constexpr auto guest_patience = 2s;  ///< advice only: what is on the host goes in any case
constexpr auto look_again = 20ms;

/// They end with the VM; until then they hold the containers' mounts.
bool end_helpers(const VmLeftOvers& vm) {
  const Span span("end its helpers");
  bool gone = true;
  for (const ProcessIdentity& helper : vm.helpers)
    gone = (wait_for_end(helper, 5s) || kill_process(helper, 5s)) && gone;
  return gone;
}

/// By pid first: that works whatever state libvirt is in.
bool end_processes(const VmLeftOvers& vm, const hypervisor::Driver& driver) {
  if (vm.process) return hypervisor::end_vm_process(*vm.process) && end_helpers(vm);
  // A create that was killed half-way has not written it down.
  const auto process = hypervisor::find_vm_process(driver, vm.name);
  return process && hypervisor::end_vm_process(*process);
}

/// In a process of its own, since nobody needs to wait for it: after the end of a VM's process libvirt
/// sleeps for 0.2 s before it lets go of it. It is told if it does not notice at all.
void see_off(const hypervisor::Driver& driver, const VmLeftOvers& vm,
             const hypervisor::ConnectHypervisor& connect) {
  detach_process({});
  // A libvirt that does not answer finds it out when it goes on.
  warn_on_failure([&] {
    if (!hypervisor::await_forgotten(driver, vm.name)) connect({.uri = vm.uri})->destroy(vm.name);
  });
  hypervisor::remove_vm_traces(driver, vm.name);
}

/// Its processes at once; what libvirt keeps of it, soon.
void end_vm(const std::string& vm_id, const VmLeftOvers& vm,
            const hypervisor::ConnectHypervisor& connect) {
  const hypervisor::Driver& driver = hypervisor::driver_for(vm.uri);
  const bool has_begun = std::filesystem::exists(VmPaths(vm_id).directory);
  const bool ended = traced("end the VM's processes", [&] { return end_processes(vm, driver); });
  if (!ended && has_begun) connect({.uri = vm.uri})->destroy(vm.name);
  if (hypervisor::is_forgotten(driver, vm.name)) {
    hypervisor::remove_vm_traces(driver, vm.name);
  } else {
    fork_orphan([&] { see_off(driver, vm, connect); });
  }
}

/// Empty: nobody could talk to this VM any more. Throws system: it may be there all the same.
std::optional<VmRecord> load_if_usable(const std::string& vm_id) {
  try {
    return load_vm(vm_id);
  } catch (const Error& e) {
    if (e.code() == Errc::system) throw;
    return std::nullopt;
  }
}

/// The VM without the container, if others are in it.
std::optional<VmRecord> leave_to_others(const std::string& vm_id, const std::string& container) {
  std::optional<VmRecord> record = load_if_usable(vm_id);
  if (!record) return std::nullopt;
  std::erase_if(record->members, [&](const VmMember& member) { return member.id == container; });
  if (record->members.empty()) return std::nullopt;
  save_vm(*record);
  return record;
}

/// So that the guest lets go of its files. It learns of the shim's end at about the same time.
void remove_in_guest(const std::string& vm_id, const std::string& container) {
  guestcomm::AgentClient agent = Sandbox::open(vm_id).connect(guest_patience);
  const Deadline deadline(guest_patience);
  for (;;) {
    try {
      return agent.delete_container(container);
    } catch (const Error& e) {
      if (e.code() == Errc::not_found) return;
      if (e.code() != Errc::wrong_state || deadline.passed()) throw;
      std::this_thread::sleep_for(look_again);
    }
  }
}

/// Of a VM that goes on. Before its lock is taken: a guest may take its time.
void remove_in_living_guest(const std::string& vm_id, const std::string& container) noexcept {
  warn_on_failure([&] {
    const std::optional<VmRecord> vm = load_if_usable(vm_id);
    if (vm && !live_shims(*vm).empty()) remove_in_guest(vm_id, container);
  });
}

/// The leaving container's cgroup goes, and with it whatever is in it. Throws when nobody's would
/// take the VM though somebody runs.
void move_vm(const VmRecord& vm) {
  std::exception_ptr failure;
  for (const ProcessIdentity& heir : live_shims(vm)) {
    try {
      HostCgroup cgroup(heir.pid);
      for (const ProcessIdentity& helper : vm.helpers)
        if (is_alive(helper)) cgroup.add(helper.pid);
      if (vm.process && is_alive(*vm.process)) cgroup.add(vm.process->pid);
      return;
    } catch (const Error&) {
      failure = std::current_exception();
    }
  }
  if (failure && !live_shims(vm).empty()) std::rethrow_exception(failure);
}

/// Where none of the others runs, the VM ends, and their own removal finds it gone.
void leave(const VmRecord& vm, const std::string& container,
           const hypervisor::ConnectHypervisor& connect) {
  if (live_shims(vm).empty()) {
    end_vm(vm.id, load_vm_left_overs(vm.id), connect);
  } else {
    move_vm(vm);
  }
  Sandbox::open(vm.id).unpin_files(container);
}

/// What the record does not say, its id and its container tell.
VmLeftOvers find_left_overs(const std::string& vm_id, const std::string& container,
                            const std::string& uri) {
  VmLeftOvers vm = load_vm_left_overs(vm_id);
  if (vm.name.empty()) vm.name = vm_name(vm_id, container);
  if (vm.uri.empty()) vm.uri = uri;
  return vm;
}

}  // namespace

void remove_from_sandbox(const std::string& vm_id, const std::string& container,
                         const std::string& uri, const hypervisor::ConnectHypervisor& connect) {
  if (vm_id.empty()) return;
  remove_in_living_guest(vm_id, container);
  const std::optional<DirectoryLock> lock = lock_vm(vm_id);
  if (const auto others = leave_to_others(vm_id, container))
    return leave(*others, container, connect);
  const VmLeftOvers vm = find_left_overs(vm_id, container, uri);
  end_vm(vm_id, vm, connect);
  if (vm.network_namespace) unplug_all(*vm.network_namespace, vm_id);
  remove_vm_directory(vm_id);
}

JoinedVm::~JoinedVm() {
  if (keep_) return;
  // Where that fails, `delete --force` can do it again.
  warn_on_failure([&] {
    state_.keep();
    remove_from_sandbox(vm_id_, container_, {}, connect_);
    state_.keep(false);
  });
}

}  // namespace husk::runtime
