// SPDX-License-Identifier: Apache-2.0
// husk delete: undoes what create did, in reverse. Safe to repeat, whatever is gone already.
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/hooks.hpp"
#include "lib/runtime/host_cgroup.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/vm_directory.hpp"
#include "lib/runtime/vm_process.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

void end_shim(const ContainerRecord& record) {
  if (record.shim && !kill_process(*record.shim, 10s))
    throw Error(Errc::timed_out, "the shim does not end");
}

/// virtiofsd ends with QEMU; until then it holds the container's mounts.
bool end_helpers(const VmRecord& vm) {
  bool gone = true;
  for (const ProcessIdentity& helper : vm.helpers)
    gone = (wait_for_end(helper, 5s) || kill_process(helper, 5s)) && gone;
  return gone;
}

/// libvirt notices the end by itself, usually at once.
bool libvirt_let_go(const std::string& vm_name) {
  const std::filesystem::path domain = "/run/libvirt/qemu/" + vm_name + ".xml";
  for (int attempt = 0; attempt < 300; ++attempt) {
    if (!std::filesystem::exists(domain)) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

/// By pid first: that works whatever state libvirt is in.
bool end_processes(const ContainerRecord& record) {
  if (record.vm) return end_vm_process(record.vm->process) && end_helpers(*record.vm);
  // A create that was killed half-way has not written it down.
  const auto process = find_vm_process(record.vm_name);
  return process && end_vm_process(*process);
}

/// libvirt is asked only where it is needed: it costs more than all the rest.
void end_vm(const ContainerRecord& record, const Config& config) {
  const bool gone = end_processes(record);
  if (gone && libvirt_let_go(record.vm_name)) return;
  if (!std::filesystem::exists(VmPaths(record.vm_id).directory))
    return;  // create had not come this far
  try {
    hypervisor::bounded_libvirt({.uri = config.uri})->destroy(record.vm_name);
  } catch (const Error& e) {
    if (!gone) throw;
    // The VM is gone all the same; libvirt finds that out when it goes on.
    log(LogLevel::warning, e.what());
  }
}

void check_deletable(const ContainerRecord& record, bool force) {
  const std::string status = record.status();
  if (force || status == "stopped" || status == "created" || status == "creating") return;
  throw Error(Errc::wrong_state,
              "cannot delete container " + record.id + " that is not stopped: " + status);
}

}  // namespace

void Runtime::remove(const std::string& id, bool force) {
  if (force && !store_.exists(id)) return;
  std::optional<DirectoryLock> lock;
  try {
    lock = store_.lock(id);
  } catch (const Error&) {
    // Another command may have deleted it since it was looked for.
    if (force && !store_.exists(id)) return;
    throw;
  }
  if (!lock && !force) throw Error(Errc::timed_out, "another command is at work on the container");
  ContainerRecord record;
  try {
    record = store_.load(id);
  } catch (const Error& e) {
    if (!force) throw;
    store_.remove(id);  // a stray directory, or a state that cannot be read
    return;
  }
  check_deletable(record, force);
  end_shim(record);
  end_vm(record, config_);
  remove_machine_cgroups(record.vm_name);
  hypervisor::remove_vm_logs(record.vm_name);
  remove_vm_directory(record.vm_id);
  remove_host_cgroup(record.unit, record.cgroups);
  oci::State state = record.to_state();
  state.status = "stopped";
  state.pid = 0;
  store_.remove(id);
  run_hooks_tolerantly(record.hooks.poststop, "poststop", state);
}

}  // namespace husk::runtime
