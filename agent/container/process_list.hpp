// SPDX-License-Identifier: Apache-2.0
// What a person is shown of a container's processes.
#pragma once

#include <sys/types.h>

#include <functional>
#include <vector>

#include "agent/loop/event_loop.hpp"
#include "lib/guestcomm/protocol/process_list.hpp"

namespace husk::agent {

/// Tells what /proc says of these pids (the agent's view). A process that is gone by then is left out. Cut to what
/// the host takes in one answer. `described` is called once, later, from the loop. The command lines
/// are in the memory of the processes and are read in a helper process: what has not answered after a
/// second is told as "[name]", and all after it. Throws system.
void describe_processes(EventLoop& loop, const std::vector<pid_t>& pids,
                        const std::function<void(const guestcomm::ProcessList&)>& described);

}  // namespace husk::agent
