// SPDX-License-Identifier: Apache-2.0
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "lib/base/error.hpp"
#include "lib/guestcomm/agent_client.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/vm_process.hpp"

namespace husk::runtime {

using namespace std::chrono_literals;

void Runtime::kill(const std::string& id, int signal, bool all) {
  // No lock: kill must answer while another command waits for the guest.
  const ContainerRecord record = store_.load(id);
  const std::string status = record.status();
  if (status == "stopped" && all) return;  // runc's kill --all
  if (status != "running" && status != "created")
    throw Error(Errc::wrong_state, "container not running");
  try {
    guestcomm::AgentClient(record.vm->address, 5s)
        .signal_container({.id = id, .signal = signal, .all = all});
  } catch (const Error& e) {
    if (e.code() == Errc::wrong_state || e.code() == Errc::not_found || !is_alive(*record.shim)) {
      // It ended meanwhile: one text for that, whoever noticed first.
      throw Error(Errc::wrong_state, "container not running");
    }
    if (signal != SIGKILL) throw;
    // A guest that does not answer cannot refuse this: its process dies with the shim.
    const UniqueFd shim = open_process(*record.shim);
    if (shim) ::syscall(SYS_pidfd_send_signal, shim.get(), SIGKILL, nullptr, 0);
  }
}

}  // namespace husk::runtime
