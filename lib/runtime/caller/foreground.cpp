// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/caller/foreground.hpp"

#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "lib/base/error.hpp"
#include "lib/base/exit_status.hpp"

namespace husk::runtime {

int wait_for_shim(pid_t shim, int signal_fd) {
  for (;;) {
    // Looked at before each wait: the shim may have ended before its SIGCHLD was asked for.
    int status = 0;
    if (::waitpid(shim, &status, WNOHANG) == shim) return exit_status(status);
    signalfd_siginfo info{};
    if (::read(signal_fd, &info, sizeof info) != sizeof info) throw_errno("wait for a signal");
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal != SIGCHLD && signal != SIGURG && signal != SIGPIPE) ::kill(shim, signal);
  }
}

}  // namespace husk::runtime
