// SPDX-License-Identifier: Apache-2.0
// husk-agent: the first process of the guest.
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <filesystem>

#include "agent/agent.hpp"
#include "agent/boot/boot.hpp"
#include "agent/boot/power.hpp"
#include "agent/request/secret.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/guestcomm/protocol/share.hpp"

int main() {
  if (::getpid() != 1) {
    std::fputs("husk-agent " HUSK_VERSION ": runs only as PID 1 of a guest\n", stderr);
    return 1;
  }
  // A crash of PID 1 is a kernel panic; powering off is what the host understands.
  std::set_terminate([] { husk::agent::power_off(); });
  try {
    const husk::agent::BootOptions options = husk::agent::boot();
    // Without it nobody could be told from anybody: then nobody is served.
    const husk::agent::Secret secret = husk::step("the VM's secret", [] {
      return husk::agent::load_secret(std::filesystem::path(husk::guestcomm::share_mount_point) /
                                      husk::guestcomm::share_secret_file);
    });
    husk::agent::serve(options, secret);
  } catch (const std::exception& error) {
    husk::log(husk::LogLevel::error, std::string("fatal: ") + error.what());
  }
  husk::agent::power_off();
}
