// SPDX-License-Identifier: Apache-2.0
// husk-shim: stands on the host for one process in the guest. husk has put it into its namespaces
// and cgroup and onto the container's root before this program starts; its arguments are the
// container's own, so that `docker top` and ps(1) show them. It says nothing: its standard streams
// are the container's.
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/signals.hpp"
#include "lib/handoff/handoff.hpp"
#include "shim/privileges.hpp"
#include "shim/stand_in.hpp"
#include "shim/system_calls.hpp"

namespace {

using namespace husk;

int stand_in() {
  // Blocked already when husk made this process; as pid 1 of its namespace it would otherwise ignore
  // them.
  const UniqueFd signals = collect_signals();
  shim::drop_privileges();
  UniqueFd handoff_socket{handoff::shim_fd};
  handoff::Handoff received = handoff::receive(handoff_socket.get());
  std::string failure;
  try {
    shim::StandIn process(received.duty, std::move(received.control), std::move(received.notify),
                          std::move(received.bundle), std::move(received.kills));
    process.carry_streams(std::move(received.stdio));
    // The guest's bytes have not been read yet, but for its answer as an owner.
    shim::restrict_system_calls(process.oom_mark());
    check_sys(::send(handoff_socket.get(), "", 1, MSG_NOSIGNAL), "answer husk");
    handoff_socket.reset();
    return process.stand_until_exit(signals.get());
  } catch (const std::exception& e) {
    failure = e.what();
  }
  if (handoff_socket)
    ::send(handoff_socket.get(), failure.c_str(), failure.size() + 1, MSG_NOSIGNAL);
  return shim::StandIn::vm_lost;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 0) {
    const std::string command = argv[0];
    ::prctl(PR_SET_NAME, command.substr(command.rfind('/') + 1).c_str(), 0, 0, 0);
  }
  int status = shim::StandIn::vm_lost;
  try {
    status = stand_in();
  } catch (const std::exception&) {
    // husk is gone or gave up: it has said why, or nobody is there to hear it
  }
  ::_exit(status);  // at once: the stdin thread may be inside a read
}
