// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/process.hpp"
#include "lib/runtime/hooks.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/sandbox.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

constexpr auto start_patience = 60s;  ///< reading a large program over virtio-fs takes its time
constexpr auto shim_patience = 10s;

/// Whether the namespace of process `pid` has an interface besides lo. Asked by a child that enters
/// it, so that this process stays where it is.
bool has_interfaces(pid_t pid) {
  const UniqueFd ns{
      ::open(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC)};
  if (!ns) return false;
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setns(ns.get(), CLONE_NEWNET) != 0) ::_exit(0);
    int others = 0;
    const auto* interfaces = ::if_nameindex();
    for (const auto* i = interfaces; i != nullptr && i->if_index != 0; ++i) {
      if (std::string_view(i->if_name) != "lo") others = 1;
    }
    ::_exit(others);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 1;
}

/// A guest that does not answer may still execute the command later, and the state could not tell:
/// then the container ends.
void start_in_guest(const ContainerRecord& record) {
  try {
    Sandbox::open(record.vm_id).connect(start_patience).start_process({record.id, {}});
  } catch (const Error& e) {
    if (e.code() != Errc::timed_out && e.code() != Errc::peer_lost) throw;
    kill_process(*record.shim, shim_patience);
    throw e.within("the guest did not start the container, which was ended");
  }
}

}  // namespace

void Runtime::start(const std::string& id) {
  const auto lock = store_.lock(id);
  if (!lock) throw Error(Errc::timed_out, "another command is at work on the container");
  ContainerRecord record = store_.load(id);
  check_allowed(Command::start, state_of(record, /*create_at_work=*/false), id);
  if (has_interfaces(record.shim->pid)) {
    log(LogLevel::warning,
        "container " + id + ": its network is not carried into the VM yet, it has loopback only");
  }
  start_in_guest(record);
  record.started = true;
  store_.save(record);
  // Its command may have ended by now.
  run_hooks_tolerantly(record.hooks.poststart, "poststart",
                       record.to_state(state_of(record, /*create_at_work=*/false)));
}

}  // namespace husk::runtime
