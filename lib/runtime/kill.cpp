// SPDX-License-Identifier: Apache-2.0
// husk kill. Whether a container runs is what its shim's pid says; the guest is asked to do a
// thing, and never believed about the state.
#include <csignal>

#include "lib/base/error.hpp"
#include "lib/base/process.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {
namespace {

void ask_guest(const ContainerRecord& record, int signal, bool all,
               std::chrono::milliseconds patience) {
  VmHandle::open(record.vm_id)
      .connect(patience)
      .call(guestcomm::SignalProcess{.process = {record.id, {}}, .signal = signal, .all = all},
            patience);
}

/// The guest may be stuck, taken over or lying, and the reader of the output may stand still: what
/// ends a container in any case is the end of its shim.
void kill_for_certain(const ContainerRecord& record, bool all, const KillPatience& patience) {
  try {
    ask_guest(record, SIGKILL, all, patience.ask_to_kill);
  } catch (const Error&) {
    // Advice only: the shim's end decides.
  }
  if (wait_for_end(*record.shim, patience.end)) return;
  if (!kill_process(*record.shim, patience.forced_end))
    throw Error(Errc::timed_out, "the shim of container " + record.id + " did not exit");
}

void check_killable(ContainerState state, const std::string& id, bool all) {
  check_allowed(all ? Command::kill_all : Command::kill, state, id);
}

void send_signal(const ContainerRecord& record, int signal, bool all,
                 const KillPatience& patience) {
  try {
    ask_guest(record, signal, all, patience.ask);
  } catch (const Error& e) {
    if (!wait_for_end(*record.shim, patience.ended))
      throw e.within("the guest did not take signal " + std::to_string(signal));
    check_killable(ContainerState::stopped, record.id, all);  // as if it had ended before
  }
}

}  // namespace

void Runtime::kill(const std::string& id, int signal, bool all) {
  // No lock: kill must answer while another command waits for the guest.
  const auto [record, state] = store_.load_with_state(id);
  check_killable(state, id, all);
  if (state == ContainerState::stopped) return;
  if (signal == 0) return;  // kill(2): only whether it is there
  if (signal == SIGKILL) return kill_for_certain(record, all, kill_patience_);
  send_signal(record, signal, all, kill_patience_);
}

}  // namespace husk::runtime
