// SPDX-License-Identifier: Apache-2.0
// What a person is shown of a container's processes.
#pragma once

#include <sys/types.h>

#include <vector>

#include "lib/guestcomm/protocol/messages.hpp"

namespace husk::agent {

/// Of those pids (the agent's view) what /proc says; who is gone meanwhile is left out. Cut to what
/// the host takes in one answer.
guestcomm::ProcessList describe_processes(const std::vector<pid_t>& pids);

}  // namespace husk::agent
