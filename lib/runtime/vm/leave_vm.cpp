// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/leave_vm.hpp"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <thread>
#include <vector>

#include "lib/base/cgroup_directories.hpp"
#include "lib/base/deadline.hpp"
#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/mount_namespace.hpp"
#include "lib/base/namespace_id.hpp"
#include "lib/base/text.hpp"
#include "lib/base/trace.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/vm_process.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/plan/plan.hpp"
#include "lib/runtime/vm/container_network.hpp"
#include "lib/runtime/vm/end_vm.hpp"
#include "lib/runtime/vm/find_namespaces.hpp"
#include "lib/runtime/vm/other_mount_namespace.hpp"
#include "lib/runtime/vm/vm_directory.hpp"
#include "lib/runtime/vm/vm_handle.hpp"
#include "lib/runtime/vm/vm_lock.hpp"
#include "lib/runtime/vm/vm_record.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;
using Members = std::vector<VmMember>;

constexpr auto guest_patience = 2s;  ///< advice only: what is on the host goes in any case
constexpr auto look_again = 20ms;
constexpr auto left_shim_patience = 10s;

/// Returns nothing if the record is unusable: nobody could talk to this VM any more. Throws system: the record
/// may be there all the same.
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
    if (entry.is_directory(none) && !entry.path().filename().string().starts_with('@'))
      ids.push_back(entry.path().filename().string());
  return ids;
}

bool has_process(const std::string& vm_id, const VmLeftOvers& vm) {
  if (vm.process) return is_alive(*vm.process);
  return hypervisor::find_vm_process(hypervisor::driver_for(vm.uri), vm.name,
                                     VmPaths(vm_id).directory)
      .has_value();
}

/// Refuses for a VM whose record does not tell its members.
void refuse_to_end_under_others(const std::string& vm_id, const std::string& container,
                                const VmLeftOvers& vm) {
  const std::vector<std::string> all = containers_with_files(vm_id);
  const auto other = std::ranges::find_if(all, [&](const auto& id) { return id != container; });
  if (other == all.end() || !has_process(vm_id, vm)) return;
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

/// Ends a shim that the container's own record does not name: of a create that was killed before it wrote that,
/// or whose record is damaged. Once the member is struck off, nobody knows of the shim.
void end_shim_of_member(const std::string& vm_id, const std::string& container) {
  const Members members = load_vm_left_overs(vm_id).members.value_or(Members{});
  const auto member = std::ranges::find(members, container, &VmMember::id);
  if (member == members.end() || !member->shim) return;
  if (!kill_process(*member->shim, left_shim_patience))
    throw Error(Errc::timed_out, "the shim did not exit");
}

/// Has the guest let go of the container's files. The guest learns of the shim's end at about the same time.
void remove_in_guest(const std::string& vm_id, const std::string& container) {
  guestcomm::AgentClient agent = VmHandle::open(vm_id).connect(guest_patience);
  const Deadline deadline(guest_patience);
  for (;;) {
    try {
      agent.call(guestcomm::DeleteContainer{container}, guest_patience);
      return;
    } catch (const Error& e) {
      if (e.code() == Errc::not_found) return;
      if (e.code() != Errc::wrong_state || deadline.passed()) throw;
      std::this_thread::sleep_for(look_again);
    }
  }
}

/// Whether the guest runs on, as far as is known: one of a pod without a sandbox container does so without any
/// container.
bool may_run(const VmRecord& vm) {
  if (!live_shims(vm).empty()) return true;
  return vm.pod && vm.pod->network && vm.process && is_alive(*vm.process);
}

/// Removes the container from a VM that goes on. Call it before the VM's lock is taken: a guest may take its time.
/// False: nobody answers for the guest any more, as where its keeper was killed and the vsock device with it.
bool remove_in_living_guest(const std::string& vm_id, const std::string& container) {
  try {
    const std::optional<VmRecord> vm = load_if_usable(vm_id);
    if (vm && may_run(*vm)) remove_in_guest(vm_id, container);
    return true;
  } catch (const Error& e) {
    log(LogLevel::warning, e.what());
    return e.sys_errno() != ECONNREFUSED && e.sys_errno() != ENOENT;
  } catch (const std::exception& e) {
    log(LogLevel::warning, e.what());
    return true;
  }
}

/// The leaving container's cgroup is removed, with whatever is in it: moves the VM into the cgroup of a
/// container that stays. Throws when a container runs but no cgroup takes the VM.
void move_vm(const VmLeftOvers& vm, const Members& others) {
  std::exception_ptr failure;
  for (const ProcessIdentity& shim : live_shims(others)) {
    try {
      HostCgroup cgroup(shim.pid);
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

/// Whether the file that the pod's caller gave for the network namespace still leads there.
bool has_network_file(const VmLeftOvers& vm) {
  try {
    return namespace_at(vm.network_namespace.value_or(""), "net") == vm.pod.value().network;
  } catch (const Error&) {
    return false;
  }
}

/// A VM that a container leaves, and who else is in it.
struct Leaving {
  const VmLeftOvers& vm;
  const Members& others;
  const std::string& container;
  bool is_reachable;  ///< Whether the guest answers, as far as is known.
};

/// Whether the VM goes on although `container` leaves and others, none of which need run, stay.
bool goes_on(const Leaving& leaving) {
  const bool has_running = !live_shims(leaving.others).empty();
  const std::optional<VmPod>& pod = leaving.vm.pod;
  if (!pod) return has_running;
  // A VM that nobody reaches would be an obstacle for the pod's next container.
  if (pod->network) return has_running || (leaving.is_reachable && has_network_file(leaving.vm));
  return has_running && leaving.container != pod->sandbox;
}

/// Ends the VM where none of the others runs, or the pod goes; their own removal finds the VM gone. The VM of a pod
/// is in a cgroup that stays.
void leave(const std::string& vm_id, const Leaving& leaving,
           const hypervisor::ConnectHypervisor& connect) {
  if (!goes_on(leaving)) {
    end_vm(vm_id, leaving.vm, connect);
  } else if (!leaving.vm.pod) {
    move_vm(leaving.vm, leaving.others);
  }
  VmDirectory(vm_id).remove_container(leaving.container);
}

/// The VM's id and the configuration tell what the record does not say.
VmLeftOvers find_left_overs(const std::string& vm_id, const std::string& uri) {
  VmLeftOvers vm = load_vm_left_overs(vm_id);
  if (vm.name.empty()) vm.name = vm_name(vm_id);
  if (vm.uri.empty()) vm.uri = uri;
  return vm;
}

/// Refuses where the VM's directory is in a mount namespace that husk does not find: what runs in the VM is unknown.
void refuse_to_end_unseen(const std::string& vm_id, const std::string& uri) {
  const VmPaths paths(vm_id);
  if (!std::filesystem::exists(paths.directory) || shows_vm_directory(paths)) return;
  if (hypervisor::find_vm_process(hypervisor::driver_for(uri), vm_name(vm_id), paths.directory))
    throw other_mount_namespace_error(paths);
}

/// A pod whose VM died has another one, which has taken the cgroups over.
bool has_other_vm(const std::string& vm_id, const VmLeftOvers& vm) {
  if (!vm.pod) return false;
  return !find_vm_of_pod(vm.pod->root, vm.pod->sandbox, vm_id).empty();
}

/// A pod's stays what it was, whatever the caller's file leads to by now.
std::optional<std::filesystem::path> network_of_vm(const std::string& vm_id,
                                                   const VmLeftOvers& vm) {
  if (vm.pod && vm.pod->network) return VmPaths(vm_id).pod_network();
  if (!vm.network_namespace) return std::nullopt;
  return *vm.network_namespace;
}

/// Runs in the mount namespace that has the VM's directory.
void remove_from_sandbox_here(const std::string& vm_id, const std::string& container,
                              const std::string& uri,
                              const hypervisor::ConnectHypervisor& connect) {
  refuse_to_end_unseen(vm_id, uri);
  end_shim_of_member(vm_id, container);
  const bool is_reachable = remove_in_living_guest(vm_id, container);
  const std::optional<DirectoryLock> lock = lock_vm(vm_id);
  const VmLeftOvers vm = find_left_overs(vm_id, uri);
  if (const Members others = find_others(vm_id, container, vm); !others.empty()) {
    strike_off_member(vm_id, container);
    return leave(vm_id, {vm, others, container, is_reachable}, connect);
  }
  end_vm(vm_id, vm, connect);
  if (!has_other_vm(vm_id, vm)) remove_cgroups(vm.cgroups);
  if (const auto network = network_of_vm(vm_id, vm)) unplug_all(*network, vm_id);
  remove_vm_directory(vm_id);
}

}  // namespace

void leave_vm(const std::string& vm_id, const std::string& container, const std::string& uri,
              const hypervisor::ConnectHypervisor& connect) {
  if (vm_id.empty()) return;
  const auto remove = [&] { remove_from_sandbox_here(vm_id, container, uri, connect); };
  if (const UniqueFd there = find_vm_directory(VmPaths(vm_id), uri)) {
    in_mount_namespace(there.get(), remove);
  } else {
    remove();
  }
}

}  // namespace husk::runtime
