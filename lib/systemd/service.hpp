// SPDX-License-Identifier: Apache-2.0
// A transient service of systemd: a process that descends from process 1, and not from the command
// that asked for it. Interface: org.freedesktop.systemd1(5).
#pragma once

#include <string>
#include <vector>

namespace husk::systemd {

struct ServicePlan {
  std::string name;                  ///< "x.service"
  std::string description;           ///< for people
  std::vector<std::string> command;  ///< the program's absolute path, then its arguments
  int standard_input = -1;           ///< stays the caller's; systemd keeps a copy until the end
  bool errors_to_journal = false;    ///< standard error
};

/// Has systemd start the service, as root, with a clean environment and /dev/null for its output,
/// but for errors_to_journal.
/// Returns when systemd has accepted: whether the program could be executed shows later. Nothing is
/// left of the unit when it ends. Throws system with systemd's words.
void start_service(const ServicePlan& plan);

}  // namespace husk::systemd
