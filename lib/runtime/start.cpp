// SPDX-License-Identifier: Apache-2.0
#include "lib/base/cancellation.hpp"
#include "lib/base/error.hpp"
#include "lib/base/process.hpp"
#include "lib/base/trace.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/runtime/host/hooks.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/vm/container_network.hpp"
#include "lib/runtime/vm/guest_trace.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

constexpr auto start_patience = 60s;  ///< reading a large program over virtio-fs takes its time
constexpr auto shim_patience = 10s;

/// Configures the network and starts: every caller has wired the network by now.
void start_in_guest(const ContainerRecord& record, VmHandle& vm,
                    const hypervisor::ConnectHypervisor& connect) {
  Laps laps;
  guestcomm::AgentClient agent = vm.connect(start_patience);
  laps.end("connect to the agent");
  std::optional<ContainerNetwork> network(std::in_place, vm.lock_network(), *record.shim, vm,
                                          connect, agent);
  laps.end("network");
  const auto hooks = longest_run(record.hooks.start_container);
  if (hooks != 0s) {  // the VM's other containers, and its keeper, do not wait for them
    network->keep();
    network.reset();
  }
  agent.call(guestcomm::StartProcess{{record.id, {}}}, start_patience + hooks);
  if (network) network->keep();
  laps.end("agent: start_process");
  trace_guest(agent);
}

/// A container that could not be started has ended: callers expect it (runc's process is gone then),
/// and do not delete one that has not. A guest that does not answer may still execute the command
/// later, and the state could not tell.
void start_or_end(const ContainerRecord& record, const hypervisor::ConnectHypervisor& connect) {
  VmHandle vm = VmHandle::open(record.vm_id);
  try {
    start_in_guest(record, vm, connect);
  } catch (const Error& e) {
    kill_process(*record.shim, shim_patience);
    if (e.code() != Errc::timed_out && e.code() != Errc::peer_lost) throw;
    throw e.within("the guest did not start the container, which was ended");
  }
}

}  // namespace

void Runtime::start(const std::string& id) {
  const Span all("start");
  // A killed start must not leave a container of which nobody knows whether it was started.
  const Cancellation cancellation;
  const DirectoryLock lock = store_.lock(id);
  ContainerRecord record = store_.load(id);
  check_allowed(Command::start, state_of(record, /*create_at_work=*/false), id);
  start_or_end(record, connect_);
  record.started = true;
  store_.save(record);
  // The container's command may have ended by now.
  run_hooks_tolerantly(record.hooks.poststart, "poststart",
                       record.to_state(state_of(record, /*create_at_work=*/false)));
}

}  // namespace husk::runtime
