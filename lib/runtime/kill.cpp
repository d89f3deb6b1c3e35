// SPDX-License-Identifier: Apache-2.0
// husk kill. Whether a container runs is what its shim's pid says; the guest is asked to do a
// thing, and never believed about the state.
#include <csignal>

#include "lib/base/error.hpp"
#include "lib/base/process.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/sandbox.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

constexpr auto ask_patience = 5s;
constexpr auto ask_to_kill_patience = 2s;
constexpr auto end_patience = 3s;    ///< for the shim to carry what its container wrote last
constexpr auto ended_patience = 1s;  ///< between the guest's knowing of an end and the shim's
constexpr auto forced_end_patience = 5s;

void ask_guest(const ContainerRecord& record, int signal, bool all, std::chrono::seconds patience) {
  Sandbox::open(record.vm_id)
      .connect(patience)
      .signal_process({.process = {record.id, {}}, .signal = signal, .all = all});
}

/// The guest may be stuck, taken over or lying, and the reader of the output may stand still: what
/// ends a container in any case is the end of its shim.
void kill_for_certain(const ContainerRecord& record, bool all) {
  try {
    ask_guest(record, SIGKILL, all, ask_to_kill_patience);
  } catch (const Error&) {
    // Advice only: the shim's end decides.
  }
  if (wait_for_end(*record.shim, end_patience)) return;
  if (!kill_process(*record.shim, forced_end_patience))
    throw Error(Errc::timed_out, "the shim of container " + record.id + " does not end");
}

void send_signal(const ContainerRecord& record, int signal, bool all) {
  try {
    ask_guest(record, signal, all, ask_patience);
  } catch (const Error& e) {
    if (wait_for_end(*record.shim, ended_patience))
      throw Error(Errc::wrong_state, "container not running");
    throw e.within("the guest did not take signal " + std::to_string(signal));
  }
}

}  // namespace

void Runtime::kill(const std::string& id, int signal, bool all) {
  // No lock: kill must answer while another command waits for the guest.
  const ContainerRecord record = store_.load(id);
  const std::string status = record.status();
  if (status == "stopped" && all) return;  // runc's kill --all
  if (status != "running" && status != "created")
    throw Error(Errc::wrong_state, "container not running");
  if (signal == 0) return;  // kill(2): only whether it is there
  if (signal == SIGKILL) return kill_for_certain(record, all);
  try {
    send_signal(record, signal, all);
  } catch (const Error& e) {
    if (!all || e.code() != Errc::wrong_state || is_alive(*record.shim)) throw;
    // It ended meanwhile: as if it had before.
  }
}

}  // namespace husk::runtime
