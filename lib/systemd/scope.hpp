// SPDX-License-Identifier: Apache-2.0
// A transient unit of systemd for a container's processes (--systemd-cgroup): systemd makes the
// cgroup and knows of it, so that `systemctl status docker-ID.scope` shows it and systemd does not
// take the folder away. Interface: org.freedesktop.systemd1(5).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "lib/systemd/unit_property.hpp"

namespace husk::systemd {

struct ScopePlan {
  std::string name;                      ///< "docker-ID.scope", or "x.slice"
  std::string slice;                     ///< "system.slice"; the parent
  std::string description;               ///< for people, and stop_scope knows the unit by it
  std::vector<UnitProperty> properties;  ///< the caller's, after husk's own
};

/// Whether systemd is this host's init (sd_booted(3)).
bool is_running();

/// Makes the unit with `pid` in it, and returns when it is active. Throws system with systemd's
/// words, timed_out.
void start_scope(const ScopePlan& plan, pid_t pid);

/// Stops the unit, if it is still there, and forgets that it failed. A unit with another Description
/// is left alone: the name is the caller's to choose, and somebody else may have a unit of that name
/// by now. Never throws: the cgroup may be gone already, systemd may be restarting; clean-up goes on
/// after both.
void stop_scope(const std::string& name, const std::string& description) noexcept;

}  // namespace husk::systemd
