// SPDX-License-Identifier: Apache-2.0
// A connection that a process of the host made to "localhost" in a container's network namespace
// (lib/network/loopback_listener.hpp), carried to the container's loopback in the guest.
#pragma once

#include <chrono>
#include <string>

#include "lib/base/unique_fd.hpp"

namespace husk::runtime {

/// Returns when both sides have closed, or when nothing was carried for 4 h: a place among the 64 of
/// the VM (guestcomm::ConnectionServer) is nobody's for ever. When nobody listens in the guest, the client finds its
/// connection reset, and the agent's error is thrown. In a process of its own: it starts a thread.
void forward_connection(const std::string& vm_id, UniqueFd client);

/// Copies from `client` to `to_guest`, and from `from_guest` to `client`: sockets,
/// all blocking. Returns when both directions have ended, or nothing was carried for `limit`.
void carry_both_ways(UniqueFd client, UniqueFd to_guest, UniqueFd from_guest,
                     std::chrono::milliseconds limit);

}  // namespace husk::runtime
