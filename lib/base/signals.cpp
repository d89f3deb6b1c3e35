// SPDX-License-Identifier: Apache-2.0
#include "lib/base/signals.hpp"

#include <sys/signalfd.h>

#include <csignal>

#include "lib/base/error.hpp"

namespace husk {

UniqueFd collect_signals() {
  sigset_t all;
  ::sigfillset(&all);
  check_sys(::sigprocmask(SIG_BLOCK, &all, nullptr), "block signals");
  return UniqueFd{check_sys(::signalfd(-1, &all, SFD_CLOEXEC), "signalfd")};
}

}  // namespace husk
