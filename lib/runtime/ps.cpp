// SPDX-License-Identifier: Apache-2.0
// husk ps: the processes that stand for a container on the host, or its own in the guest.
#include <algorithm>
#include <filesystem>

#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/record/container_state.hpp"
#include "lib/runtime/record/end_meanwhile.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto list_patience = 10s;

/// Returns nothing where the process is gone.
std::string pid_namespace_of(pid_t pid) {
  std::error_code gone;
  return fs::read_symlink("/proc/" + std::to_string(pid) + "/ns/pid", gone).string();
}

}  // namespace

std::vector<pid_t> Runtime::host_processes(const std::string& id) const {
  const ProcessIdentity shim = store_.load_for(Command::ps, id).shim.value();
  const pid_t first = shim.pid;
  // The cgroup has the VM's processes too; the shims alone are in the first one's pid namespace.
  const std::string wanted = pid_namespace_of(first);
  std::vector<pid_t> shims = HostCgroup(first).processes();
  // Checked after reading: until now the pid was no other process's.
  if (!is_alive(shim)) check_allowed(Command::ps, ContainerState::stopped, id);
  std::erase_if(shims, [&](pid_t pid) { return pid_namespace_of(pid) != wanted; });
  std::sort(shims.begin(), shims.end());
  return shims;
}

guestcomm::ProcessList Runtime::guest_processes(const std::string& id) const {
  const ContainerRecord record = store_.load_for(Command::ps, id);
  return unless_it_ends(store_, record, Command::ps, [&] {
    return VmHandle::open(record.vm_id)
        .connect(list_patience)
        .call(guestcomm::ListProcesses{id}, list_patience);
  });
}

}  // namespace husk::runtime
