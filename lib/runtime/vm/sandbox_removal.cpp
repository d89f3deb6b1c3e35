// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/sandbox_removal.hpp"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <thread>
#include <vector>

#include "lib/base/deadline.hpp"
#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/mount_namespace.hpp"
#include "lib/base/text.hpp"
#include "lib/base/trace.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/vm_process.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/plan/plan.hpp"
#include "lib/runtime/vm/container_network.hpp"
#include "lib/runtime/vm/other_mount_namespace.hpp"
#include "lib/runtime/vm/sandbox.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;
using Members = std::vector<VmMember>;

constexpr auto guest_patience = 2s;  ///< advice only: what is on the host goes in any case
constexpr auto look_again = 20ms;
constexpr auto left_shim_patience = 10s;

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

/// Containers that have files in the VM's share.
std::vector<std::string> containers_with_files(const std::string& vm_id) {
  std::vector<std::string> ids;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(VmPaths(vm_id).shared(), none))
    if (entry.is_directory(none)) ids.push_back(entry.path().filename().string());
  return ids;
}

/// libvirt's name for the VM has the id of its first container, whichever that was.
bool has_process(const std::string& vm_id, const VmLeftOvers& vm,
                 const std::vector<std::string>& containers) {
  if (vm.process) return is_alive(*vm.process);
  const hypervisor::Driver& driver = hypervisor::driver_for(vm.uri);
  return std::ranges::any_of(containers, [&](const std::string& id) {
    return hypervisor::find_vm_process(driver, vm_name(vm_id, id)).has_value();
  });
}

/// For a VM whose record does not tell its members.
void refuse_to_end_under_others(const std::string& vm_id, const std::string& container,
                                const VmLeftOvers& vm) {
  const std::vector<std::string> all = containers_with_files(vm_id);
  const auto other = std::ranges::find_if(all, [&](const auto& id) { return id != container; });
  if (other == all.end() || !has_process(vm_id, vm, all)) return;
  throw Error(Errc::wrong_state, "VM " + vm_id + ": " + VmPaths(vm_id).record().string() +
                                     " does not list its containers, and " + quote(*other) +
                                     " may run in it");
}

/// The other containers that are in the VM.
Members find_others(const std::string& vm_id, const std::string& container, const VmLeftOvers& vm) {
  if (!vm.members) refuse_to_end_under_others(vm_id, container, vm);
  Members others = vm.members.value_or(Members{});
  std::erase_if(others, [&](const VmMember& member) { return member.id == container; });
  return others;
}

/// One that the container's own record does not name: of a create that was killed before it wrote that,
/// or whose record is damaged. Once the member is struck off, nobody knows of the shim.
void end_shim_of_member(const std::string& vm_id, const std::string& container) {
  const Members members = load_vm_left_overs(vm_id).members.value_or(Members{});
  const auto member = std::ranges::find(members, container, &VmMember::id);
  if (member == members.end() || !member->shim) return;
  if (!kill_process(*member->shim, left_shim_patience))
    throw Error(Errc::timed_out, "the shim did not exit");
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

/// For a VM that goes on. Call it before the VM's lock is taken: a guest may take its time.
void remove_in_living_guest(const std::string& vm_id, const std::string& container) noexcept {
  warn_on_failure([&] {
    const std::optional<VmRecord> vm = load_if_usable(vm_id);
    if (vm && !live_shims(*vm).empty()) remove_in_guest(vm_id, container);
  });
}

/// The leaving container's cgroup goes, and with it whatever is in it. Throws when nobody's would
/// take the VM though somebody runs.
void move_vm(const VmLeftOvers& vm, const Members& others) {
  std::exception_ptr failure;
  for (const ProcessIdentity& heir : live_shims(others)) {
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
  if (failure && !live_shims(others).empty()) std::rethrow_exception(failure);
}

/// Where none of the others runs, the VM ends, and their own removal finds it gone.
void leave(const std::string& vm_id, const VmLeftOvers& vm, const Members& others,
           const std::string& container, const hypervisor::ConnectHypervisor& connect) {
  if (live_shims(others).empty()) {
    end_vm(vm_id, vm, connect);
  } else {
    move_vm(vm, others);
  }
  VmDirectory(vm_id).remove_container(container);
}

/// The VM's id and its container tell what the record does not say.
VmLeftOvers find_left_overs(const std::string& vm_id, const std::string& container,
                            const std::string& uri) {
  VmLeftOvers vm = load_vm_left_overs(vm_id);
  if (vm.name.empty()) vm.name = vm_name(vm_id, container);
  if (vm.uri.empty()) vm.uri = uri;
  return vm;
}

/// Its directory is in a mount namespace that husk does not find: what runs in the VM is unknown.
void refuse_to_end_unseen(const std::string& vm_id, const std::string& uri) {
  const VmPaths paths(vm_id);
  if (!std::filesystem::exists(paths.directory) || shows_vm_directory(paths)) return;
  if (hypervisor::has_vm_process(hypervisor::driver_for(uri), vm_name(vm_id, "")))
    throw other_mount_namespace_error(paths);
}

/// In the mount namespace that has the VM's directory.
void remove_from_sandbox_here(const std::string& vm_id, const std::string& container,
                              const std::string& uri,
                              const hypervisor::ConnectHypervisor& connect) {
  refuse_to_end_unseen(vm_id, uri);
  end_shim_of_member(vm_id, container);
  remove_in_living_guest(vm_id, container);
  const std::optional<DirectoryLock> lock = lock_vm(vm_id);
  const VmLeftOvers vm = find_left_overs(vm_id, container, uri);
  if (const Members others = find_others(vm_id, container, vm); !others.empty()) {
    strike_off_member(vm_id, container);
    return leave(vm_id, vm, others, container, connect);
  }
  end_vm(vm_id, vm, connect);
  if (vm.network_namespace) unplug_all(*vm.network_namespace, vm_id);
  remove_vm_directory(vm_id);
}

}  // namespace

void remove_from_sandbox(const std::string& vm_id, const std::string& container,
                         const std::string& uri, const hypervisor::ConnectHypervisor& connect) {
  if (vm_id.empty()) return;
  const auto remove = [&] { remove_from_sandbox_here(vm_id, container, uri, connect); };
  if (const UniqueFd there = find_vm_directory(VmPaths(vm_id), uri)) {
    in_mount_namespace(there.get(), remove);
  } else {
    remove();
  }
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
