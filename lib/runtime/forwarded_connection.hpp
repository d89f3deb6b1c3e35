// SPDX-License-Identifier: Apache-2.0
// A connection that a process of the host made to "localhost" in a container's network namespace
// (lib/network/loopback_listener.hpp), carried to the container's loopback in the guest.
#pragma once

#include <string>

#include "lib/base/unique_fd.hpp"

namespace husk::runtime {

/// Returns when both sides have closed. When nobody listens in the guest, the client finds its
/// connection reset, and the agent's error is thrown. In a process of its own: it starts a thread.
void forward_connection(const std::string& vm_id, UniqueFd client);

}  // namespace husk::runtime
