// SPDX-License-Identifier: Apache-2.0
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "lib/base/cancellation.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/runtime/runtime.hpp"

namespace husk::runtime {
namespace {

/// Waits for the shim, passing on every signal that comes to husk itself.
int wait_for_shim(pid_t shim, int signal_fd) {
  for (;;) {
    // Looked at before each wait: the shim may have ended before its SIGCHLD was asked for.
    int status = 0;
    if (::waitpid(shim, &status, WNOHANG) == shim) {
      return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    signalfd_siginfo info{};
    if (::read(signal_fd, &info, sizeof info) != sizeof info) throw_errno("wait for a signal");
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal != SIGCHLD && signal != SIGURG && signal != SIGPIPE) ::kill(shim, signal);
  }
}

UniqueFd collect_signals() {
  sigset_t all;
  ::sigfillset(&all);
  check_sys(::sigprocmask(SIG_BLOCK, &all, nullptr), "block signals");
  return UniqueFd{check_sys(::signalfd(-1, &all, SFD_CLOEXEC), "signalfd")};
}

}  // namespace

int Runtime::run(const CreateRequest& request, bool keep) {
  std::optional<Cancellation> cancellation(std::in_place);
  const CreatedContainer container = create(request);
  try {
    const UniqueFd signals = request.foreground ? collect_signals() : UniqueFd{};
    start(request.id);
    cancellation.reset();  // from here on, signals are the container's
    if (!request.foreground) return 0;
    const int status = wait_for_shim(container.shim_pid, signals.get());
    if (!keep) remove(request.id, true);
    return status;
  } catch (...) {
    cancellation.reset();
    try {
      remove(request.id, true);
    } catch (const std::exception& e) {
      log(LogLevel::warning, e.what());
    }
    throw;
  }
}

}  // namespace husk::runtime
