// SPDX-License-Identifier: Apache-2.0
#include "lib/base/cancellation.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk {
namespace {

// Global, since a process has one set of signals.
struct State {
  UniqueFd signals;
  std::optional<int> thrown;
  int undoing = 0;
};
State& state() {
  static State instance;
  return instance;
}

sigset_t cancelling_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    // A blocked signal is kept even when it is ignored, so that has to be looked at here.
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler != SIG_IGN)
      ::sigaddset(&set, signal);
  }
  return set;
}

/// An exception that is on its way undoes what was made.
bool is_cancellable() noexcept {
  return state().signals && state().undoing == 0 && std::uncaught_exceptions() == 0;
}

}  // namespace

Cancellation::Cancellation() : outermost_(!state().signals && !state().thrown) {
  if (!outermost_) return;
  const sigset_t signals = cancelling_signals();
  check_sys(::sigprocmask(SIG_BLOCK, &signals, nullptr), "block signals");
  state().signals.reset(
      check_sys(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd"));
}

Cancellation::~Cancellation() {
  if (outermost_) state().signals.reset();
}

Undoing::Undoing() noexcept { ++state().undoing; }

Undoing::~Undoing() { --state().undoing; }

int cancellation_fd() noexcept { return is_cancellable() ? state().signals.get() : -1; }

void forget_cancellation() noexcept {
  state().signals.reset();
  state().thrown.reset();
}

void throw_if_cancelled() {
  if (!is_cancellable()) return;
  signalfd_siginfo info{};
  if (::read(state().signals.get(), &info, sizeof info) != sizeof info) return;
  state().signals.reset();
  state().thrown = static_cast<int>(info.ssi_signo);
  throw Error(Errc::system, "interrupted by signal " + std::to_string(info.ssi_signo), ECANCELED);
}

std::optional<int> cancelled_by() noexcept { return state().thrown; }

}  // namespace husk
