// SPDX-License-Identifier: Apache-2.0
// husk delete: undoes what create did, in reverse. Safe to repeat, whatever is gone already.
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/vm_process.hpp"
#include "lib/runtime/hooks.hpp"
#include "lib/runtime/host_cgroup.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/vm_directory.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

/// The VM's hypervisor: what needs no connection to it, and how to get one.
struct Access {
  const hypervisor::Driver& driver;
  std::function<std::unique_ptr<hypervisor::Hypervisor>()> connect;
};

void end_shim(const LeftOvers& left) {
  if (left.shim && !kill_process(*left.shim, 10s))
    throw Error(Errc::timed_out, "the shim does not end");
}

/// They end with the VM; until then they hold the container's mounts.
bool end_helpers(const LeftOvers& left) {
  bool gone = true;
  for (const ProcessIdentity& helper : left.helpers)
    gone = (wait_for_end(helper, 5s) || kill_process(helper, 5s)) && gone;
  return gone;
}

/// By pid first: that works whatever state libvirt is in.
bool end_processes(const LeftOvers& left, const hypervisor::Driver& driver) {
  if (left.vm_process)
    return hypervisor::end_vm_process(driver, *left.vm_process) && end_helpers(left);
  // A create that was killed half-way has not written it down.
  const auto process = hypervisor::find_vm_process(driver, left.vm_name);
  return process && hypervisor::end_vm_process(driver, *process);
}

/// libvirt is asked only where it is needed: it costs more than all the rest.
void end_vm(const LeftOvers& left, const Access& access) {
  const bool gone = end_processes(left, access.driver);
  if (gone && hypervisor::await_forgotten(access.driver, left.vm_name)) return;
  if (!std::filesystem::exists(VmPaths(left.vm_id).directory))
    return;  // create had not come this far
  try {
    access.connect()->destroy(left.vm_name);
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

/// Everything on the host but the state folder.
void clean_up(const LeftOvers& left, const Access& access) {
  end_shim(left);
  end_vm(left, access);
  hypervisor::remove_vm_traces(access.driver, left.vm_name);
  remove_vm_directory(left.vm_id);
  remove_host_cgroup(left.unit, left.cgroups);
}

/// A command that hangs must not keep the container for ever, and delete never works beside it.
DirectoryLock lock_for_delete(const StateStore& store, const std::string& id, bool force) {
  if (auto lock = store.lock(id)) return std::move(*lock);
  if (force) return store.take_lock_over(id);
  throw Error(Errc::timed_out, "another command is at work on the container");
}

/// A stray directory, or a record that this husk cannot read as a whole: what runs must not outlive
/// the knowledge of it.
void remove_unknown(const StateStore& store, const std::string& id, const Access& access) {
  if (const auto left = store.load_left_overs(id)) clean_up(*left, access);
  store.remove(id);
}

}  // namespace

void Runtime::remove(const std::string& id, bool force) {
  if (force && !store_.exists(id)) return;
  try {
    remove_existing(id, force);
  } catch (const Error&) {
    // Another command may have deleted it since it was looked for.
    if (!force || store_.exists(id)) throw;
  }
}

void Runtime::remove_existing(const std::string& id, bool force) {
  const Access access{.driver = hypervisor::driver_for(config_.uri),
                      .connect = [this] { return connect_({.uri = config_.uri}); }};
  const DirectoryLock lock = lock_for_delete(store_, id, force);
  ContainerRecord record;
  try {
    record = store_.load(id);
  } catch (const Error&) {
    if (!force) throw;
    return remove_unknown(store_, id, access);
  }
  check_deletable(record, force);
  clean_up(left_overs_of(record), access);
  oci::State state = record.to_state();
  state.status = "stopped";
  state.pid = 0;
  store_.remove(id);
  run_hooks_tolerantly(record.hooks.poststop, "poststop", state);
}

}  // namespace husk::runtime
