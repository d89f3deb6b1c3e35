// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/keeper_commands.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/process.hpp"
#include "lib/guestcomm/link/clock_follow.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/vm_process.hpp"
#include "lib/runtime/host/count_oom_kill.hpp"
#include "lib/runtime/plan/plan.hpp"
#include "lib/runtime/plan/vm_paths.hpp"
#include "lib/runtime/pool.hpp"
#include "lib/runtime/vm/container_network.hpp"
#include "lib/runtime/vm/forwarded_connection.hpp"
#include "lib/runtime/vm/vm_handle.hpp"
#include "lib/runtime/vm/vm_lock.hpp"
#include "lib/runtime/vm/vm_record.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

constexpr auto lock_patience = 2s;        ///< the shim waits 5 s
constexpr auto clock_patience = 1s;       ///< each: to connect, to measure, to correct
constexpr auto abandoned_patience = 60s;  ///< libvirt's, to go on with what husk began
constexpr auto abandoned_interval = 100ms;

/// libvirt may still be starting the VM. The VM's directory is there as long as there is something to
/// look for.
void end_abandoned(const std::string& vm_id) {
  const hypervisor::Driver& driver = hypervisor::driver_for(load_vm_left_overs(vm_id).uri);
  const Deadline deadline(abandoned_patience);
  std::error_code unknown;
  while (std::filesystem::exists(VmPaths(vm_id).directory, unknown) && !deadline.passed()) {
    if (const auto process =
            hypervisor::find_vm_process(driver, vm_name(vm_id), VmPaths(vm_id).directory)) {
      hypervisor::end_vm_process(*process);
      return;
    }
    std::this_thread::sleep_for(abandoned_interval);
  }
}

/// A container whose shim has ended has no cgroup that anybody looks at. The locks keep others from moving processes, and
/// from changing limits, meanwhile.
void count_kill_of(const std::string& vm_id, const std::string& container) {
  const DirectoryLock network = VmHandle::open(vm_id).lock_network(lock_patience);
  const std::optional<DirectoryLock> lock = lock_vm(vm_id, lock_patience);
  if (!lock) throw vm_gone(vm_id);
  const VmRecord vm = load_vm(vm_id);
  const auto member = std::ranges::find(vm.members, container, &VmMember::id);
  if (member == vm.members.end())
    throw Error(Errc::not_found, "VM " + vm_id + " has no such container");
  if (!member->shim || !is_alive(*member->shim)) return;
  const bool has_vm =
      vm.process && memory_cgroup_of(vm.process->pid) == memory_cgroup_of(member->shim->pid);
  count_oom_kill(member->shim->pid, has_vm ? vm.limits.memory_bytes : std::nullopt);
}

/// Before the first start the guest may have no other connection, and would power off after this one. The time limit is less
/// than what a keeper gives a guest that has to power off: this connection keeps it up.
void correct_clock(const std::string& vm_id) {
  const VmHandle vm = VmHandle::open(vm_id);
  if (!std::filesystem::exists(vm.paths().told_network())) return;
  guestcomm::AgentClient agent = vm.connect(clock_patience);
  guestcomm::correct_guest_clock(agent, clock_patience);
}

/// What libvirt shows of a VM that was one of the pool. Not worth starting libvirt for.
void name_after_container(const std::string& vm_id, const hypervisor::ConnectHypervisor& connect) {
  const VmRecord vm = load_vm(vm_id);
  if (vm.members.empty()) return;
  const std::string title = vm_title(vm.members.front().id);
  connect({.uri = vm.uri, .daemon_idle_timeout = {}})
      ->rename(vm.name, title, vm_description(title));
}

/// Moves the connection away from standard input: closing it must reset it.
UniqueFd take_connection() {
  UniqueFd connection(check_sys(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1),
                                "duplicate a descriptor"));
  const UniqueFd null(check_sys(::open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null"));
  check_sys(::dup2(null.get(), STDIN_FILENO), "duplicate a descriptor");
  return connection;
}

}  // namespace

std::optional<KeeperCommand> find_keeper_command(std::string_view name) {
  if (name == "follow-network") return KeeperCommand::follow_network;
  if (name == "forward-connection") return KeeperCommand::forward_connection;
  if (name == "count-oom-kill") return KeeperCommand::count_oom_kill;
  if (name == "correct-clock") return KeeperCommand::correct_clock;
  if (name == "refill-pool") return KeeperCommand::refill_pool;
  if (name == "end-abandoned") return KeeperCommand::end_abandoned;
  return std::nullopt;
}

void run_keeper_command(KeeperCommand command, const KeeperWork& work,
                        const hypervisor::ConnectHypervisor& connect) {
  const std::string& vm_id = work.vm_id;
  switch (command) {
    case KeeperCommand::follow_network:
      return follow_network(vm_id, connect);
    case KeeperCommand::forward_connection:
      return forward_connection(vm_id, take_connection());
    case KeeperCommand::count_oom_kill:
      return count_kill_of(vm_id, work.container);
    case KeeperCommand::correct_clock:
      return correct_clock(vm_id);
    case KeeperCommand::refill_pool:
      refill_pool(work.config_file);
      return name_after_container(vm_id, connect);
    case KeeperCommand::end_abandoned:
      return end_abandoned(vm_id);
  }
}

}  // namespace husk::runtime
