// SPDX-License-Identifier: Apache-2.0
// husk-agent: the first process of the guest.
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "agent/agent.hpp"
#include "agent/boot.hpp"
#include "agent/power.hpp"
#include "lib/base/log.hpp"

int main() {
  if (::getpid() != 1) {
    std::fputs("husk-agent " HUSK_VERSION ": runs as the first process of a guest only\n", stderr);
    return 1;
  }
  // A crash of PID 1 is a kernel panic; powering off is what the host understands.
  std::set_terminate([] { husk::agent::power_off(); });
  try {
    husk::agent::serve(husk::agent::boot());
  } catch (const std::exception& error) {
    husk::log(husk::LogLevel::error, std::string("fatal: ") + error.what());
  }
  husk::agent::power_off();
}
